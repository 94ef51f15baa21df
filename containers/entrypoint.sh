#!/usr/bin/env bash
# What the image runs: `docker run IMAGE fit ...` and `docker run IMAGE python -m projection fit ...` are one.
# It runs as the owner of what is mounted at /workspace, so that results are theirs by any engine; --user wins.
set -euo pipefail

case ${1:-} in
python* | projection | torchrun | bash | sh | /*) command=("$@") ;;
*) command=(python -m projection "$@") ;;
esac
# Apptainer's root is whoever started it already
if [[ $(id -u) == 0 && -z ${APPTAINER_CONTAINER:-}${SINGULARITY_CONTAINER:-} ]]; then
    owner=$(stat --format=%u /workspace) group=$(stat --format=%g /workspace)
    [[ $owner == 0 ]] || exec setpriv --reuid="$owner" --regid="$group" --clear-groups "${command[@]}"
fi
exec "${command[@]}"
