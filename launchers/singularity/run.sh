#!/usr/bin/env bash
# Runs projection in a Singularity or Apptainer image; all arguments go to it as they are.
#
#   launchers/singularity/run.sh fit --config configs/exp.yaml --trainer.max_epochs 5
#
# CONTAINER  the image (default ~/projection_latest.sif)
# WORKSPACE  the code to run, bound to /workspace (default: this repository)
# DATA_PATH  the folder of the HDF5 files, bound read-only under its own name and to /workspace/data (default:
#            WORKSPACE/data)
# RUNS_PATH  where run folders are kept, bound under its own name and to /workspace/runs (default: WORKSPACE/runs)
# DRY_RUN=1  prints the command
set -euo pipefail

home=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=launchers/lib.sh
source "$home/launchers/lib.sh"
who=singularity
answer_help "$@"
read_switches DRY_RUN

# what a training may know of its surroundings; everything else stays outside
PASSED='TZ|WANDB_.*|(https?|no|all)_proxy|(HTTPS?|NO|ALL)_PROXY|SLURM_.*|SLURMD_NODENAME|CUDA_.*|NVIDIA_.*'
PASSED+='|NCCL_.*|GLOO_.*|TORCH_.*|TORCHELASTIC_.*|MASTER_(ADDR|PORT)|(LOCAL_|GROUP_)?RANK|(LOCAL_)?WORLD_SIZE'
PASSED+='|OMP_NUM_THREADS|PROJECTION_.*'

# By the environment: what stands on a command line, everybody on the machine can read.
pass_environment() {
    local name
    while IFS= read -r name; do
        [[ $name =~ ^($PASSED)$ ]] || continue
        export "APPTAINERENV_$name=${!name}" "SINGULARITYENV_$name=${!name}"
    done < <(compgen -e)
    export {APPTAINER,SINGULARITY}ENV_LANG=C.UTF-8 {APPTAINER,SINGULARITY}ENV_LC_ALL=C.UTF-8
    # packages in ~/.local are not those of the image
    export APPTAINERENV_PYTHONNOUSERSITE=1 SINGULARITYENV_PYTHONNOUSERSITE=1
}

has_gpus() {
    if [[ -n ${SLURM_JOB_ID:-} ]]; then
        [[ -n ${SLURM_JOB_GPUS:-}${SLURM_STEP_GPUS:-}${SLURM_GPUS_ON_NODE:-} ]]
    else
        nvidia-smi --list-gpus >/dev/null 2>&1
    fi
}

engine=$(command -v apptainer || command -v singularity) || fail "there is neither apptainer nor singularity on this machine"
image=${CONTAINER:-$HOME/projection_latest.sif}
[[ -r $image ]] || fail "there is no image $image; make it with \`make sif\`, fetch it with" \
    "launchers/slurm/pull_latest.sh, or set CONTAINER to another"
workspace=$(realpath "${WORKSPACE:-$home}")
data=$(realpath "${DATA_PATH:-$workspace/data}")
[[ -d $data ]] || fail "there is no data folder $data; set DATA_PATH"
runs=$(realpath --canonicalize-missing "${RUNS_PATH:-$workspace/runs}")
mkdir -p "$runs" "$workspace/data" "$workspace/runs"

command=("$engine" exec --cleanenv --pwd /workspace --bind "$workspace:/workspace"
    --bind "$data:$data:ro" --bind "$data:/workspace/data:ro"
    --bind "$runs:$runs" --bind "$runs:/workspace/runs")
if has_gpus; then command+=(--nv); fi
command+=("$image" python -m projection "$@")
if [[ -n $DRY_RUN ]]; then
    printf '%q ' "${command[@]}" && echo
    exit
fi
read_key "$home/.env"
pass_environment
exec "${command[@]}"
