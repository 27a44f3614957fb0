// Writes the Parquet files of this folder with Apache Arrow's implementation in Rust:
//   npm install --ignore-scripts parquet-wasm@0.8.0 apache-arrow@21.2.0 && node write.mjs
// The picture of row i is of 3 x 2 pixels, all of the colour (i, 255 - i, 7 i mod 256).
import { createRequire } from "node:module";
import { deflateSync, crc32 } from "node:zlib";
import { mkdirSync, writeFileSync } from "node:fs";
const require = createRequire(process.cwd() + "/");
const arrow = require("apache-arrow");
const { Table, WriterPropertiesBuilder, Compression, WriterVersion, writeParquet } = require("parquet-wasm");

function png(i) {
  const rows = Buffer.alloc(2 * (1 + 3 * 3));
  for (let y = 0; y < 2; y++) for (let x = 0; x < 3; x++) rows.set([i, 255 - i, (7 * i) % 256], y * 10 + 1 + 3 * x);
  const chunk = (type, data) => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const out = Buffer.alloc(body.length + 8);
    out.writeUInt32BE(data.length, 0);
    body.copy(out, 4);
    out.writeUInt32BE(crc32(body), body.length + 4);
    return out;
  };
  const header = Buffer.from([0, 0, 0, 3, 0, 0, 0, 2, 8, 2, 0, 0, 0]);
  return Buffer.concat([Buffer.from("\x89PNG\r\n\x1a\n", "latin1"), chunk("IHDR", header), chunk("IDAT", deflateSync(rows)), chunk("IEND", Buffer.alloc(0))]);
}

const range = (from, to) => Array.from({ length: to - from }, (_, k) => from + k);
const binary = new arrow.Binary(), text = new arrow.Utf8(), int64 = new arrow.Int64();
const picture = new arrow.Struct([new arrow.Field("bytes", binary, true), new arrow.Field("path", text, true)]);
const list = new arrow.List(new arrow.Field("element", int64, true));
const column = (type, values) => arrow.vectorFromArray(values, type);

function write(name, columns, properties) {
  const table = new arrow.Table(columns);
  const wasm = Table.fromIPCStream(arrow.tableToIPC(table, "stream"));
  writeFileSync(name, writeParquet(wasm, properties.build()));
}
const builder = () => new WriterPropertiesBuilder().setDataPageSizeLimit(1000).setWriteBatchSize(10).setMaxRowGroupSize(60);
const features = (f) => new Map([["huggingface", JSON.stringify({ info: { features: f } })]]);

mkdirSync("hub/data", { recursive: true });
const classes = ["zebra", "ape", "bee"];
for (const [name, from, to] of [["train-00000-of-00002", 0, 150], ["train-00001-of-00002", 150, 200], ["test-00000-of-00001", 200, 240]]) {
  const rows = range(from, to);
  write(`hub/data/${name}.parquet`, {
    image: column(picture, rows.map((i) => ({ bytes: png(i), path: `${i}.png` }))),
    width: column(int64, rows.map(() => 3n)),
    label: column(int64, rows.map((i) => BigInt(i % 3))),
  }, builder().setCompression(Compression.SNAPPY).setKeyValueMetadata(features({
    image: { _type: "Image" }, width: { dtype: "int64", _type: "Value" }, label: { names: classes, _type: "ClassLabel" },
  })));
}
write("plain.parquet", {
  picture: column(binary, range(0, 100).map((i) => (i === 40 ? null : png(i)))),
  species: column(text, range(0, 100).map((i) => ["newt", "frog"][i % 2])),
  split: column(text, range(0, 100).map((i) => ["train", "validation", "test", "test"][i % 4])),
}, builder().setCompression(Compression.ZSTD).setWriterVersion(WriterVersion.V2));
write("lists.parquet", {
  image: column(picture, range(0, 30).map((i) => (i === 7 ? { bytes: null, path: "beside.png" } : { bytes: png(i), path: null }))),
  tags: column(list, range(0, 30).map((i) => [[], [2n], [1n, 0n]][i % 3])),
}, builder().setCompression(Compression.UNCOMPRESSED).setKeyValueMetadata(features({
  image: { _type: "Image" }, tags: { feature: { names: ["sun", "sea", "air"], _type: "ClassLabel" }, length: -1, _type: "Sequence" },
})));
write("metadata.parquet", {
  file_name: column(text, ["a.png", "b.png", "c.png"]),
  label: column(text, ["x", "y", "x"]),
  split: column(text, ["train", "train", "test"]),
}, builder().setCompression(Compression.GZIP));
