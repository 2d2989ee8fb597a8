#!/usr/bin/env bash
# Starts Atelier: ./run.sh [--host ADDRESS] [--port PORT]. Also HOST, PORT, DATA_DIR (default ./data).
# The first start sets up the server's environment and builds the dashboard; the engines' environments are built by the
# running server, which shows their progress.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/scripts/setup.sh"

server=$(environment server "$root/backend/requirements/server.txt")
if [ "$(cat "$root/frontend/dist/.built-from" 2>/dev/null)" != "$(dashboard_hash)" ]; then
  node=$(node_folder)
  PATH=$node:$PATH
  build_dashboard
fi
export PYTHONPATH=$root/backend
# Byte code goes beside the environments, so that a read-only checkout starts as fast.
export PYTHONPYCACHEPREFIX=${PYTHONPYCACHEPREFIX:-$ENVIRONMENTS_DIR/bytecode}
unset PYTHONDONTWRITEBYTECODE
exec "$server/bin/python" -m atelier serve "$@"
