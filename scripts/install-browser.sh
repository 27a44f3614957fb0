#!/bin/sh
# Installs what the browser test of the page needs: Chromium by apt-get if there is none, and axe-core by npm into
# page/testdata/node_modules. Running it again changes nothing.
set -eu
cd "$(dirname "$0")/../page/testdata"

found=
for name in chromium chromium-browser google-chrome; do
	command -v "$name" >/dev/null && found=yes
done
if [ -z "$found" ]; then
	command -v apt-get >/dev/null || { echo "install-browser: no Chromium, and no apt-get to install it with" >&2; exit 1; }
	apt-get update -q && apt-get install -q -y --no-install-recommends chromium
fi
command -v npm >/dev/null || { apt-get update -q && apt-get install -q -y nodejs npm; }
version() { node -p 'require("./node_modules/axe-core/package.json").version' 2>/dev/null || true; }
want=$(node -p 'require("./package.json").dependencies["axe-core"]')
[ "$(version)" = "$want" ] || npm install --ignore-scripts --no-save --no-package-lock --no-audit --no-fund
