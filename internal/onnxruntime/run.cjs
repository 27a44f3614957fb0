// Runs an ONNX model: argv has its path and the number of threads. The first line on stdout says what it is; then each
// JSON object on stdin, {shape, data}, is an input whose values are base64, and each is answered by a line {logits}.
'use strict';
const path = require('node:path');
const readline = require('node:readline');
const { createRequire } = require('node:module');

// Where Node.js looks for a program's packages, from the working directory, and then where "npm install -g" puts them.
function load(name) {
  const globals = path.join(process.execPath, '..', '..', 'lib', 'node_modules', '_');
  const here = path.join(process.cwd(), '_');
  for (const from of [here, globals]) {
    try {
      return createRequire(from)(name);
    } catch (e) {
      if (e.code !== 'MODULE_NOT_FOUND' || !e.message.includes(`'${name}'`)) throw e;
    }
  }
  throw Object.assign(new Error('no onnxruntime-node'), { missing: true });
}

const say = (reply) => process.stdout.write(JSON.stringify(reply) + '\n');

async function main() {
  process.on('SIGINT', () => {}); // the program that asks ends this one
  let ort, session;
  try {
    ort = load('onnxruntime-node');
  } catch (e) {
    return say({ error: e.message, missing: Boolean(e.missing) });
  }
  const [model, threads] = process.argv.slice(-2);
  try {
    session = await ort.InferenceSession.create(model, { intraOpNumThreads: Number(threads), graphOptimizationLevel: 'all' });
  } catch (e) {
    return say({ error: e.message });
  }
  const { name, type, shape } = session.inputMetadata[0];
  say({ version: ort.env.versions.node, name, type, shape: shape.map((d) => (typeof d === 'number' ? d : 0)) });
  for await (const line of readline.createInterface({ input: process.stdin })) {
    try {
      const request = JSON.parse(line);
      const bytes = new Uint8Array(Buffer.from(request.data, 'base64')); // a copy: its place in memory is aligned
      const input = new ort.Tensor(type, type === 'uint8' ? bytes : new Float32Array(bytes.buffer), request.shape);
      const logits = Array.from((await session.run({ [name]: input })).logits.data);
      if (!logits.every(Number.isFinite)) throw new Error('logits that are no finite numbers'); // JSON has none
      say({ logits });
    } catch (e) {
      say({ error: e.message });
    }
  }
}

main();
