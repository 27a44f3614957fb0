// What bit serve is measured beside: ONNX Runtime behind Node.js's own HTTP server, with sharp (libvips) to decode and
// resize, all on their own threads. A picture file as the body is answered with its five most likely classes.
//
//   bit export MODEL model.onnx --preprocess
//   npm install --ignore-scripts && node server.cjs model.onnx SIDE THREADS PORT
'use strict';
const http = require('node:http');
const ort = require('onnxruntime-node');
const sharp = require('sharp');

const [model, side, threads, port] = [process.argv[2], ...process.argv.slice(3).map(Number)];
sharp.cache(false); // of operations: the measurement sends one picture over and over
sharp.concurrency(threads);

function best(logits, count) {
  const highest = logits.reduce((a, b) => Math.max(a, b));
  const exps = Float64Array.from(logits, (v) => Math.exp(v - highest));
  const sum = exps.reduce((a, b) => a + b);
  const order = [...exps.keys()].sort((a, b) => exps[b] - exps[a]);
  return order.slice(0, count).map((index) => ({ index, score: exps[index] / sum }));
}

async function classify(session, file) {
  const pixels = await sharp(file).rotate().removeAlpha().toColourspace('srgb').resize(side, side, { fit: 'fill', kernel: 'linear' }).raw().toBuffer();
  const { logits } = await session.run({ pixels: new ort.Tensor('uint8', pixels, [1, side, side, 3]) });
  return best(logits.data, 5);
}

async function main() {
  const session = await ort.InferenceSession.create(model, { intraOpNumThreads: threads, interOpNumThreads: 1, executionMode: 'sequential', graphOptimizationLevel: 'all' });
  http.createServer((request, response) => {
    const parts = [];
    request.on('data', (part) => parts.push(part));
    request.on('end', async () => {
      let status = 200, answer;
      try {
        answer = { predictions: await classify(session, Buffer.concat(parts)) };
      } catch (e) {
        [status, answer] = [500, { error: String(e) }];
      }
      response.writeHead(status, { 'Content-Type': 'application/json' });
      response.end(JSON.stringify(answer));
    });
  }).listen(port, '127.0.0.1', () => console.log(`serving at ${port}`));
}

main();
