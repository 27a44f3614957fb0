// The benchmark's ONNX Runtime side: answers one JSON request a line on stdin with one JSON object a line on stdout.
// The requests are described in ../worker.go. The network is the .onnx file that package onnx writes.
'use strict';
const fs = require('node:fs');
const readline = require('node:readline');
const ort = require('onnxruntime-node');

let session, images;

const run = () => session.run({ images });

const operations = {
  async open(request) {
    session = await ort.InferenceSession.create(request.model, {
      intraOpNumThreads: request.threads,
      interOpNumThreads: 1,
      executionMode: 'sequential',
      graphOptimizationLevel: 'all',
    });
    return { version: `ONNX Runtime ${ort.env.versions.node}` };
  },

  async input(request) {
    const bytes = fs.readFileSync(request.input);
    images = new ort.Tensor('float32', new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4), request.shape); // N C H W
    return {};
  },

  async logits() {
    return { logits: Array.from((await run()).logits.data) };
  },

  async time(request) {
    for (let i = 0; i < request.warmup; i++) await run();
    const begin = process.hrtime.bigint();
    for (let i = 0; i < request.count; i++) await run();
    return { seconds: Number(process.hrtime.bigint() - begin) / 1e9 / request.count };
  },
};

async function main() {
  process.on('SIGINT', () => {}); // the benchmark ends this program when it is interrupted
  for await (const line of readline.createInterface({ input: process.stdin })) {
    let reply;
    try {
      const request = JSON.parse(line);
      reply = await operations[request.op](request);
    } catch (e) { // the benchmark shows it and stops
      reply = { error: String(e) };
    }
    process.stdout.write(JSON.stringify(reply) + '\n');
  }
}

main();
