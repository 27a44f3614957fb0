#!/usr/bin/env bash
# Builds, checks and tests everything. Needs Go 1.26 or later; for the race detector, a C compiler, to run exported
# models, Node.js with npm, and zip, which are installed if they are missing. Reference cases are read from $BIT_GOLDEN, by default
# ../shared/golden.
set -euo pipefail
cd "$(dirname "$0")/.."
export BIT_GOLDEN="${BIT_GOLDEN:-$PWD/../shared/golden}"
say() { printf '\n== %s\n' "$*"; }

say "format and vet"
unformatted=$(git ls-files '*.go' | xargs gofmt -l)
[ -z "$unformatted" ] || { echo "not gofmt-ed: $unformatted"; exit 1; }
go vet ./...

say "every platform builds, in pure Go and Go assembly"
for os in linux darwin windows; do
	for arch in amd64 arm64; do
		CGO_ENABLED=0 GOOS=$os GOARCH=$arch go build -o /dev/null ./...
	done
done

say "the assembly is what its generator writes"
before=$(sha256sum internal/kernels/*_amd64.s internal/kernels/stubs_amd64.go)
go generate ./internal/kernels
[ "$before" = "$(sha256sum internal/kernels/*_amd64.s internal/kernels/stubs_amd64.go)" ] ||
	{ echo "internal/kernels: go generate changed the assembly: commit its output"; exit 1; }

say "ONNX Runtime"
{ command -v node && command -v npm; } >/dev/null || { apt-get update -q && apt-get install -q -y nodejs npm; }
bench/install-peers.sh onnxruntime

say "zip, to write archives as others do"
command -v zip >/dev/null || { apt-get update -q && apt-get install -q -y zip; }

say "a browser"
scripts/install-browser.sh

say "tests"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
go test -timeout 15m -v ./... 2>&1 | tee "$log"

say "tests without assembly"
go test -timeout 10m -tags purego ./internal/... 2>&1 | tee -a "$log"

say "tests under the race detector"
command -v "${CC:-gcc}" >/dev/null || { apt-get update -q && apt-get install -q -y gcc; }
# TestPretrainingPays is minutes of arithmetic on one goroutine after the other, under the race detector.
CGO_ENABLED=1 go test -timeout 10m -race -skip '^TestPretrainingPays$' . ./internal/par ./data ./batch ./internal/jpeg ./hub ./api ./serve ./project 2>&1 | tee -a "$log"
CGO_ENABLED=1 go test -timeout 10m -race -run 'TestAtOnce|TestRestart' ./teach 2>&1 | tee -a "$log"
# Assembly is invisible to the race detector: the plain Go kernels do the same cuts of the work.
CGO_ENABLED=1 go test -timeout 10m -race -tags purego -run 'TestWinogradBits|TestWinogradTraining' ./nn 2>&1 | tee -a "$log"

if grep -E '^ *--- SKIP' "$log"; then
	echo "the tests above were skipped, and none should be"
	exit 1
fi
