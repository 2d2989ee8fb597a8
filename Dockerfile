# syntax=docker/dockerfile:1
# Atelier in a container. ./build_docker.sh NAME builds it, ./run_docker.sh NAME runs it; doc/operations.md says more.
# Every step that does something is a script under scripts/container, which the tests run on a plain folder.

ARG NODE_IMAGE=node:24-bookworm-slim
ARG CUDA_IMAGE=nvidia/cuda:12.8.1-base-ubuntu24.04

# ── the dashboard ──
FROM ${NODE_IMAGE} AS dashboard
WORKDIR /app
COPY frontend/package.json frontend/package-lock.json frontend/
COPY scripts/container/dashboard.sh scripts/container/
RUN --mount=type=cache,target=/root/.npm scripts/container/dashboard.sh packages
COPY frontend frontend
RUN scripts/container/dashboard.sh build

# ── the server and the engines' environments ──
FROM ${CUDA_IMAGE} AS studio
# gcc and Python's headers: Triton compiles its launchers when a model first runs.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates gcc libc6-dev python3 python3-dev python3-venv \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --user-group --no-create-home --home-dir /data atelier
WORKDIR /app
COPY scripts/container/environment.sh scripts/container/

# One layer for each environment: another list builds that layer and the ones after it, nothing before it. What pip
# fetches stays with the builder and in no layer: one changed pin does not fetch gigabytes again.
COPY backend/requirements/server.txt backend/requirements/
RUN --mount=type=cache,target=/root/.cache/pip scripts/container/environment.sh server /opt/atelier/environments /opt/atelier/server
COPY backend/requirements/hub.txt backend/requirements/
RUN --mount=type=cache,target=/root/.cache/pip scripts/container/environment.sh hub /opt/atelier/environments
COPY backend/requirements/image.txt backend/requirements/
RUN --mount=type=cache,target=/root/.cache/pip scripts/container/environment.sh image /opt/atelier/environments
COPY backend/requirements/chat.txt backend/requirements/
RUN --mount=type=cache,target=/root/.cache/pip scripts/container/environment.sh chat /opt/atelier/environments

COPY LICENSE ./
COPY pokemon pokemon
COPY backend backend
COPY scripts/container scripts/container
COPY --from=dashboard /app/frontend/dist frontend/dist
RUN scripts/container/finish.sh /opt/atelier /data /models

# No secret stands here: tokens come with `docker run --env-file`.
ENV PYTHONPATH=/app/backend \
    PYTHONDONTWRITEBYTECODE=1 \
    HOST=0.0.0.0 \
    PORT=8000 \
    HOME=/data \
    LOGNAME=atelier \
    DATA_DIR=/data \
    MODEL_CACHE_DIR=/models \
    ENVIRONMENTS_DIR=/opt/atelier/environments \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    NVIDIA_DISABLE_REQUIRE=1
VOLUME ["/data", "/models"]
EXPOSE 8000
USER 10001:10001
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 \
    CMD ["/opt/atelier/server/bin/python", "/app/scripts/container/health.py"]
CMD ["/app/scripts/container/start.sh", "/opt/atelier/server"]
