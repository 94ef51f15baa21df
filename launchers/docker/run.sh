#!/usr/bin/env bash
# Runs projection in a Docker or podman image; all arguments go to it as they are.
#
#   launchers/docker/run.sh fit --config configs/exp.yaml --trainer.max_epochs 5
#
# IMAGE        the image (default projection:latest)
# ENGINE       docker or podman (default: whichever is there)
# WORKSPACE    the code to run, bound to /workspace (default: this repository)
# DATA_PATH    the folder of the HDF5 files, bound read-only to /workspace/data (default: WORKSPACE/data)
# RUNS_PATH    where run folders are kept, bound to /workspace/runs (default: WORKSPACE/runs)
# ENGINE_OPTIONS  more options for `docker run`
# DRY_RUN=1    prints the command
set -euo pipefail

home=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=launchers/lib.sh
source "$home/launchers/lib.sh"
who=docker
answer_help "$@"
read_switches DRY_RUN

# By name alone: the value of a secret never stands on the command line.
pass_environment() {
    local name
    for name in TZ WANDB_API_KEY WANDB_MODE http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY \
        OMP_NUM_THREADS PROJECTION_RUN_ID PROJECTION_GIT_COMMIT; do
        if [[ -n ${!name:-} ]]; then command+=(--env "$name"); fi
    done
}

add_gpus() {
    nvidia-smi --list-gpus >/dev/null 2>&1 || return 0
    if [[ $engine == *podman ]]; then command+=(--device nvidia.com/gpu=all); else command+=(--gpus all); fi
}

engine=${ENGINE:-$(command -v docker || command -v podman)} || fail "there is neither docker nor podman on this machine"
workspace=$(realpath "${WORKSPACE:-$home}")
data=$(realpath "${DATA_PATH:-$workspace/data}")
[[ -d $data ]] || fail "there is no data folder $data; set DATA_PATH"
runs=$(realpath --canonicalize-missing "${RUNS_PATH:-$workspace/runs}")
mkdir -p "$runs"

# as the caller, so that results belong to them; signals reach Python through a small init
command=("$engine" run --rm --init --ipc=host --user "$(id -u):$(id -g)" --workdir /workspace)
# rootless podman would take that user for one of its own
if [[ $engine == *podman && $(id -u) != 0 ]]; then command+=(--userns=keep-id); fi
command+=(--volume "$workspace:/workspace" --volume "$data:/workspace/data:ro" --volume "$runs:/workspace/runs")
read_key "$home/.env"
pass_environment
add_gpus
split_words ENGINE_OPTIONS
command+=(${words[@]+"${words[@]}"} "${IMAGE:-projection:latest}" "$@")
if [[ -n $DRY_RUN ]]; then
    printf '%q ' "${command[@]}" && echo
    exit
fi
exec "${command[@]}"
