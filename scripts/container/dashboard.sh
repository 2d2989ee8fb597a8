#!/usr/bin/env bash
# Builds the dashboard in ./frontend: dashboard.sh packages, then dashboard.sh build. Two steps, so that changed sources
# do not fetch the packages again.
set -euo pipefail
case ${1:-} in
  packages) cd frontend && npm ci --no-audit --no-fund --loglevel=error ;;
  build) cd frontend && npm run --silent build ;;
  *)
    echo "usage: dashboard.sh packages|build" >&2
    exit 2
    ;;
esac
