#!/usr/bin/env bash
# What the container runs: start.sh STUDIO_SERVER. The server's settings come from the environment.
set -euo pipefail
server=${1:?usage: start.sh SERVER}
if ! [ -w "$DATA_DIR" ]; then
  echo "DATA_DIR=$DATA_DIR cannot be written by user $(id -u). Start the container with ./run_docker.sh, or give that folder to this user." >&2
  exit 1
fi
if ! [ -w "${MODEL_CACHE_DIR:-$DATA_DIR}" ]; then
  echo "MODEL_CACHE_DIR=$MODEL_CACHE_DIR cannot be written by user $(id -u): models that lie there can be used, none can be downloaded. Give that folder to this user." >&2
fi
exec "$server/bin/python" -m atelier serve
