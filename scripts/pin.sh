#!/usr/bin/env bash
# Pins requirements again: scripts/pin.sh NAME reads backend/requirements/NAME.in and writes NAME.txt.
# Installs the direct dependencies into a fresh environment and writes down what came, without local build tags
# (torch's CPU and CUDA builds carry the same version; only chat-cpu insists on its build). Lines `# --no-deps PACKAGE`
# name what is installed without its own requirements; they stay as they are.
set -euo pipefail
name=${1:?usage: scripts/pin.sh server|dev|image|hub|chat|chat-cpu|chat-transformers|engine-tests|connectors}
here=$(cd "$(dirname "$0")/.." && pwd)
list=$here/backend/requirements/$name
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet -r "$list.in"
{
  echo "# Pinned from $name.in by scripts/pin.sh. Not edited by hand."
  build='cpu|cu[0-9]+'
  if [ "$name" = chat-cpu ]; then build='cu[0-9]+'; fi
  "$folder/venv/bin/pip" freeze | sed -E "s/\\+($build)\$//"
  sed -nE 's/^(# --no-deps [^ ]+).*/\1/p' "$list.in"
} > "$list.txt.new"
mv "$list.txt.new" "$list.txt"
