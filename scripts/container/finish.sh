#!/usr/bin/env bash
# The last step of the image: finish.sh STUDIO DATA MODELS
# Compiles the server, and makes the folders that a user without rights may write.
set -euo pipefail
studio=${1:?usage: finish.sh STUDIO DATA MODELS}
data=${2:?usage: finish.sh STUDIO DATA MODELS}
models=${3:?usage: finish.sh STUDIO DATA MODELS}
"$studio/server/bin/python" -m compileall -q backend
mkdir -p "$data" "$models" "$studio/environments"
# An environment that a later list asks for can be built beside those of the image. With the sticky bit nobody but its
# maker may touch what is there.
chmod 1777 "$studio/environments" "$data" "$models"
