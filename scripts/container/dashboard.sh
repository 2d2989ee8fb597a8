#!/usr/bin/env bash
# Builds the dashboard in ./frontend: dashboard.sh packages, then dashboard.sh build. Two steps, so that changed sources
# do not fetch the packages again.
set -euo pipefail
case ${1:-} in
  packages) cd frontend && npm ci --no-audit --no-fund --loglevel=error ;;
  # Without the types: an image is built of what was tested, and to check them takes longer than to build.
  build) cd frontend && npx --no-install vite build --logLevel warn ;;
  *)
    echo "usage: dashboard.sh packages|build" >&2
    exit 2
    ;;
esac
