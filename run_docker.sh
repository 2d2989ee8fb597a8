#!/usr/bin/env bash
# Runs Atelier's image: ./run_docker.sh NAME        (built by ./build_docker.sh NAME)
#
#   HOST_PORT          port on this machine (8000)
#   HOST_BIND_ADDRESS  address on this machine (127.0.0.1; 0.0.0.0 = reachable from others)
#   ADVERTISED_HOSTS   names by which browsers reach it, with commas (this machine's, when it is reachable from others)
#   MODEL_CACHE_DIR    models from Hugging Face, mounted at /models (~/.cache/huggingface/hub)
#   DATA_DIR           database, pictures, logs (~/.local/share/atelier/NAME)
#   ATELIER_TOKEN      the access token, 16 characters or more (made once, and kept)
#   HUGGINGFACE_TOKEN, OPENAI_API_KEYS   handed on
#   GPUS               all, none, a number, or which: device=0,1 (all)
#
# Secrets go to docker in a file that only this user can read, never on a command line that others see in `ps`.
set -euo pipefail
die() { printf '%s\n' "$*" >&2; exit 1; }

image=${1:-}
[[ $image =~ ^[a-z0-9][a-z0-9._/:-]*$ ]] || die "usage: ./run_docker.sh NAME   (see the head of this file for settings)"
name=${image//[\/:]/-}
port=${HOST_PORT:-8000}
[[ $port =~ ^[0-9]+$ ]] && [ "$port" -ge 1 ] && [ "$port" -le 65535 ] || die "HOST_PORT=$port must be a port from 1 to 65535."
bind=${HOST_BIND_ADDRESS:-127.0.0.1}
command -v docker >/dev/null 2>&1 || die "Docker is not installed. See https://docs.docker.com/engine/install/, or start without it: ./run.sh"
# Whole paths: docker takes a plain word for the name of a volume of its own.
models=$(realpath -m -- "${MODEL_CACHE_DIR:-$HOME/.cache/huggingface/hub}")
data=$(realpath -m -- "${DATA_DIR:-$HOME/.local/share/atelier/$name}")
for folder in "$models" "$data"; do
  case $folder in *:*) die "$folder has a colon in it, which docker cannot mount. Choose another folder." ;; esac
done
settings=${XDG_CONFIG_HOME:-$HOME/.config}/atelier
umask 077

# ── who it runs as: you, so that the files are yours; never root ──
user=$(id -u):$(id -g)
if [ "$(id -u)" = 0 ]; then user=10001:10001; fi
for folder in "$data" "$models"; do
  if [ ! -d "$folder" ]; then
    mkdir -p "$folder"
    if [ "$(id -u)" = 0 ]; then chown "$user" "$folder"; fi
  fi
done
writable() { if [ "$(id -u)" = 0 ]; then [ "$(stat -c %u "$1")" = "${user%:*}" ] || [ -n "$(find "$1" -prune -perm -o=w)" ]; else [ -w "$1" ]; fi; }
writable "$data" || die "DATA_DIR=$data cannot be written by user ${user%:*}, who the container runs as: sudo chown -R $user '$data'"
writable "$models" || echo "MODEL_CACHE_DIR=$models cannot be written by user ${user%:*}: models that lie there can be used, none can be downloaded." >&2

# ── the access token: inside the container the server listens on all addresses, so it always asks for one ──
mkdir -p "$settings"
kept=$settings/$name.token
made=
if [ -z "${ATELIER_TOKEN:-}" ]; then
  if [ ! -s "$kept" ]; then
    od -An -N24 -tx1 /dev/urandom | tr -d ' \n' > "$kept"
    made=yes
  fi
  ATELIER_TOKEN=$(cat "$kept")
fi
[ "${#ATELIER_TOKEN}" -ge 16 ] || die "ATELIER_TOKEN has fewer than 16 characters. Use a longer one, or unset it: then one is made."

# ── names that browsers may use ──
own_address() { ip -4 route get 192.0.2.1 2>/dev/null | sed -n 's/.* src \([0-9.]*\).*/\1/p'; }
hosts=${ADVERTISED_HOSTS:-}
case $bind in
  127.* | localhost | ::1) open=${hosts%%,*}; open=${open:-localhost} ;;
  0.0.0.0 | ::)
    if [ -z "$hosts" ]; then hosts=$(printf '%s\n' "$(own_address)" "$(hostname)" | sed '/^$/d' | paste -sd, -); fi
    open=${hosts%%,*}
    ;;
  *)
    hosts=${hosts:+$hosts,}$bind
    open=${hosts%%,*}
    ;;
esac

# ── what the server is told ──
file=$(mktemp "$settings/$name.env.XXXXXX")
trap 'rm -f "$file"' EXIT
tell() {
  case $2 in *$'\n'*) die "$1 must be one line." ;; esac
  if [ -n "$2" ]; then printf '%s=%s\n' "$1" "$2" >> "$file"; fi
}
tell ATELIER_TOKEN "$ATELIER_TOKEN"
tell HUGGINGFACE_TOKEN "${HUGGINGFACE_TOKEN:-}"
tell OPENAI_API_KEYS "${OPENAI_API_KEYS:-}"
tell ADVERTISED_HOSTS "$hosts"
for setting in HF_ENDPOINT HF_HUB_OFFLINE HTTPS_PROXY HTTP_PROXY NO_PROXY LOG_LEVEL LOG_JSON TZ \
  ATELIER_IDLE_SECONDS ATELIER_MEMORY_BUDGET ATELIER_PARK_BUDGET ATELIER_SHARE_BATCHES ATELIER_THREADS \
  ATELIER_QUEUE_LIMIT ATELIER_FILE_LIMIT ATELIER_REMOTE_IMAGES ATELIER_SIGN_IN \
  ATELIER_DOWNLOAD_CONNECTIONS ATELIER_DOWNLOAD_CHUNK ATELIER_DOWNLOAD_PATIENCE \
  OPENAI_KEY_MODELS MODEL_ALIASES CORS_ORIGINS CHAT_LIMIT CHAT_LIMIT_EACH CHAT_WAIT CHAT_FIRST_BYTE CHAT_IDLE \
  TRANSLATION_MODEL TRANSLATION_TIMEOUT BATCH_WINDOW BATCH_CONCURRENCY \
  POKEMON_GENERATION_BACKEND POKEMON_NAME_BACKEND POKEMON_BEARER_TOKEN POKEMON_RATE_LIMIT_PER_MIN SDXL_TURBO_MODEL \
  SDXL_WIDTH SDXL_HEIGHT SDXL_STEPS SDXL_QUANTIZATION SDXL_USE_COMPILE SDXL_USE_FLASH_ATTN SDXL_USE_XFORMERS \
  SDXL_ENABLE_SLICING SDXL_ENABLE_CPU_OFFLOAD OPENAI_BASE_URL OPENAI_MODEL OPENAI_API_KEY OPENAI_TIMEOUT REDIS_URL; do
  tell "$setting" "${!setting:-}"
done

# ── run ──
which=${GPUS:-all}
case $which in device=*,*) which=\"$which\" ;; esac # docker reads this as a line of CSV
gpus=(--gpus "$which")
if [ "${GPUS:-all}" = none ]; then
  gpus=()
elif [ -z "${GPUS:-}" ] && ! command -v nvidia-smi >/dev/null 2>&1 && [ ! -e /dev/nvidiactl ]; then
  echo "This machine has no NVIDIA driver: Atelier will run on the processor."
  gpus=()
fi
case $bind in *:*) published=[$bind]:$port:8000 ;; *) published=$bind:$port:8000 ;; esac
docker image inspect "$image" >/dev/null 2>&1 || die "There is no image $image here, or docker cannot be asked (docker info says why). ./build_docker.sh $image builds it."

# One that runs already ends in order, and stays until the new one has started.
before=$name.before
docker rm --force "$before" >/dev/null 2>&1 || true
if docker stop "$name" >/dev/null 2>&1; then docker rename "$name" "$before" >/dev/null; else before=; fi
if [ -z "$before" ]; then docker rm --force "$name" >/dev/null 2>&1 || true; fi

# Workers share memory between their processes: 64 MB, docker's default, is too little for that. And ten seconds are few
# for a server that ends its workers and writes down where its jobs are.
said=$(mktemp "$settings/$name.said.XXXXXX")
trap 'rm -f "$file" "$said"' EXIT
if ! docker run --detach --name "$name" --init --restart unless-stopped "${gpus[@]}" \
  --user "$user" --cap-drop ALL --security-opt no-new-privileges --shm-size 8g --stop-timeout 30 \
  --env-file "$file" --publish "$published" \
  --volume "$models:/models" --volume "$data:/data" \
  "$image" >/dev/null 2>"$said"; then
  cat "$said" >&2
  docker rm --force "$name" >/dev/null 2>&1 || true
  if [ -n "$before" ] && docker rename "$before" "$name" >/dev/null 2>&1 && docker start "$name" >/dev/null 2>&1; then
    echo "The one that ran before runs again." >&2
  fi
  case $(<"$said") in
    *allocated* | *"in use"*) die "Port $port is taken. Choose another: HOST_PORT=8001 ./run_docker.sh $image" ;;
    *gpu* | *nvidia* | *NVIDIA*) die "Docker cannot give it the GPUs: that takes NVIDIA's container toolkit (doc/operations.md). On the processor: GPUS=none ./run_docker.sh $image" ;;
    *) die "Docker could not start $image. The lines above say why." ;;
  esac
fi
if [ -n "$before" ]; then docker rm --force "$before" >/dev/null 2>&1 || true; fi

case $open in *:*) open=[$open] ;; esac
echo "Atelier starts: http://$open:$port/"
if [ -n "$made" ]; then
  echo "Access token, shown this once: $ATELIER_TOKEN"
  echo "It is kept in $kept"
fi
echo "Log: docker logs --follow $name     Stop: docker rm --force $name"
