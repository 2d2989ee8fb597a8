#!/usr/bin/env bash
# Builds an environment from its pinned list: environment.sh NAME DIRECTORY [LINK]
# The folder gets the name by which the server knows it: NAME-<hash of the list and of Python's version>. LINK, when
# given, is a second name for it. Reads backend/requirements/NAME.txt under the current folder.
set -euo pipefail
name=${1:?usage: environment.sh NAME DIRECTORY [LINK]}
directory=${2:?usage: environment.sh NAME DIRECTORY [LINK]}
list=backend/requirements/$name.txt
python=${ATELIER_BASE_PYTHON:-python3}

# As in backend/atelier/runtime/environments.py.
hash=$("$python" - "$list" <<'PYTHON'
import hashlib, pathlib, platform, sys
content = pathlib.Path(sys.argv[1]).read_bytes() + platform.python_version().encode()
print(hashlib.sha256(content).hexdigest()[:12])
PYTHON
)
folder=$directory/$name-$hash
mkdir -p "$directory"
if [ ! -d "$folder" ]; then
  building=$folder.building-$$
  trap 'rm -rf "$building"' EXIT
  "$python" -m venv "$building"
  "$building/bin/python" -m pip install --quiet --no-compile --disable-pip-version-check -r "$list"
  # What venv put there itself is not on the list.
  if ! grep -qiE '^setuptools==' "$list"; then
    "$building/bin/python" -m pip uninstall --quiet --yes setuptools >/dev/null 2>&1
  fi
  "$building/bin/python" -m pip uninstall --quiet --yes pip
  "$python" -m compileall -q -j 0 "$building/lib" || true
  mv -T "$building" "$folder"
fi
if [ -n "${3:-}" ]; then ln -sfn "$folder" "$3"; fi
echo "$folder"
