#!/usr/bin/env bash
# Builds Atelier's image: ./build_docker.sh NAME
# CUDA_IMAGE and NODE_IMAGE choose other base images, for example a mirror's. Other arguments go to docker build.
set -euo pipefail
die() { printf '%s\n' "$*" >&2; exit 1; }

name=${1:-}
[[ $name =~ ^[a-z0-9][a-z0-9._/:-]*$ ]] || die "usage: ./build_docker.sh NAME [docker build options]   NAME such as atelier or atelier:1.0"
shift
command -v docker >/dev/null 2>&1 || die "Docker is not installed. See https://docs.docker.com/engine/install/, or start without it: ./run.sh"
cd "$(dirname "${BASH_SOURCE[0]}")"
arguments=()
if [ -n "${CUDA_IMAGE:-}" ]; then arguments+=(--build-arg "CUDA_IMAGE=$CUDA_IMAGE"); fi
if [ -n "${NODE_IMAGE:-}" ]; then arguments+=(--build-arg "NODE_IMAGE=$NODE_IMAGE"); fi
DOCKER_BUILDKIT=1 docker build --tag "$name" "${arguments[@]}" "$@" .
echo "Built. Start it with: ./run_docker.sh $name"
