#!/usr/bin/env bash
# Exchanges models with PyTorch and timm, the real ones, and prints how well that goes: needs Debian's python3-torch (about
# 700 MB installed), and for timm python3-torchvision and, in $TIMM, a checkout of huggingface/pytorch-image-models of a
# version that this PyTorch runs (v0.9.16 with 1.13). Not part of scripts/test.sh, which has no minutes for it.
set -euo pipefail
cd "$(dirname "$0")/.."
golden="${BIT_GOLDEN:-$PWD/../shared/golden}"
python="${BIT_BENCH_PYTHON:-/usr/bin/python3}"
"$python" -c 'import numpy, torch' || { echo "needs PyTorch: bench/install-peers.sh"; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
go build -o "$work/bit" ./cmd/bit
bit() { "$work/bit" "$@" 2>>"$work/stderr"; }

for dtype in float32 float16 bfloat16; do
	bit convert "$golden/hf-tiny" "$work/hf-$dtype" --to hf --dtype "$dtype"
	bit convert "$golden/hf-tiny" "$work/timm-$dtype" --to timm --dtype "$dtype"
done
bit convert "$golden/official-tiny/weights.npz" "$work/official-hf" --to hf
"$python" scripts/check_torch.py write "$golden" "$work"
# What torch.save wrote, in several ways, read here: the same tensors as those it was given.
for kind in plain channels-last half; do
	bit convert "$work/saved-$kind" "$work/back-$kind" --to hf
done
"$python" scripts/check_torch.py read "$golden" "$work"
if [ -n "${TIMM:-}" ]; then
	"$python" scripts/check_torch.py timm "$golden" "$work" "$TIMM" "$work/bit"
fi
