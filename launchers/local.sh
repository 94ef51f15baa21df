#!/usr/bin/env bash
# Runs projection on this machine: one process, or with GPUS=4 one for each of four GPUs, through torchrun.
#
#   launchers/local.sh fit --config configs/exp.yaml --trainer.max_epochs 5
#   GPUS=4 launchers/local.sh fit --config configs/exp.yaml
#
# GPUS      how many GPUs to train on, a process each; without it, on what there is
# DEVICE    cpu: those processes train on CPUs (default gpu, or cpu with GPUS=0)
# VENV      the virtual environment (default .venv)
# DRY_RUN=1 prints the command
set -euo pipefail

home=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=launchers/lib.sh
source "$home/launchers/lib.sh"
who=local
answer_help "$@"
read_switches DRY_RUN
python=${VENV:-$home/.venv}/bin/python
gpus=${GPUS:-1} device=()
[[ $gpus =~ ^[0-9]+$ ]] || fail "GPUS is a number of processes, one per GPU; found: $gpus"
[[ ${DEVICE:-} =~ ^(gpu|cpu|)$ ]] || fail "DEVICE is gpu or cpu; found: $DEVICE"
if [[ -n ${GPUS:-}${DEVICE:-} ]]; then device=(--trainer.accelerator "${DEVICE:-$( ((gpus)) && echo gpu || echo cpu)}"); fi
read_key "$home/.env"

command=("$python" -m projection "$@" ${device[@]+"${device[@]}"})
if ((gpus > 1)); then
    # one name for all processes; torchrun's own would be a random one
    PROJECTION_RUN_ID=${PROJECTION_RUN_ID:-$(date +%Y%m%d-%H%M%S)-$$}
    export PROJECTION_RUN_ID
    command=("$python" -m torch.distributed.run --standalone --nproc-per-node "$gpus" -m projection "$@"
        --trainer.devices "$gpus" "${device[@]}")
fi
if [[ -n $DRY_RUN ]]; then
    printf '%q ' "${command[@]}" && echo
    exit
fi
[[ -x $python ]] || fail "there is no $python; \`make setup\` makes it, or set VENV to a virtual environment with projection"
exec "${command[@]}"
