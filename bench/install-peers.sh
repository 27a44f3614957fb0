#!/bin/sh
# Installs what the benchmark compares this program with. Running it again changes nothing.
#   ONNX Runtime: onnxruntime-node from npm, into bench/peers/node_modules. Install scripts stay off: they would fetch
#   GPU libraries, and the CPU library is in the package. Needs Node.js 18 or later.
#   With the argument "onnxruntime", that is all.
#   PyTorch: Debian's python3-torch, with OpenBLAS in place of the reference BLAS. Needs root; elsewhere, install
#   PyTorch for the Python that BIT_BENCH_PYTHON names (default /usr/bin/python3).
set -eu
cd "$(dirname "$0")/peers"

version() { node -p 'require("onnxruntime-node/package.json").version' 2>/dev/null || true; }
want=$(node -p 'require("./package.json").dependencies["onnxruntime-node"]')
[ "$(version)" = "$want" ] || npm install --ignore-scripts --no-save --no-package-lock --no-audit --no-fund
[ "${1:-}" != onnxruntime ] || exit 0

python=${BIT_BENCH_PYTHON:-/usr/bin/python3}
if ! "$python" -c 'import numpy, torch' 2>/dev/null; then
	command -v apt-get >/dev/null || { echo "install-peers: $python has no PyTorch, and there is no apt-get to install it with" >&2; exit 1; }
	apt-get install -y --no-install-recommends python3-torch libopenblas0-pthread
fi

echo "ONNX Runtime $(version)"
"$python" -c 'import torch; print("PyTorch", torch.__version__)'
