#!/usr/bin/env bash
# Runs projection on this machine: one process, or with GPUS=4 one for each of four GPUs, through torchrun.
#
#   launchers/local.sh fit --config configs/exp.yaml --trainer.max_epochs 5
#   GPUS=4 launchers/local.sh fit --config configs/exp.yaml
#
# VENV is the virtual environment (default .venv); DRY_RUN=1 prints the command.
set -euo pipefail

home=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${VENV:-$home/.venv}/bin/python
gpus=${GPUS:-1}
if [[ ! $gpus =~ ^[0-9]+$ ]]; then
    echo "GPUS is a number of processes, one per GPU; found: $gpus" >&2
    exit 2
fi

command=("$python" -m projection "$@")
if ((gpus > 1)); then
    # one name for all processes; torchrun's own would be a random one
    PROJECTION_RUN_ID=${PROJECTION_RUN_ID:-$(date +%Y%m%d-%H%M%S)-$$}
    export PROJECTION_RUN_ID
    command=("$python" -m torch.distributed.run --standalone --nproc-per-node "$gpus" -m projection "$@"
        --trainer.devices "$gpus")
fi
if [[ ${DRY_RUN:-} == 1 ]]; then
    printf '%q ' "${command[@]}" && echo
    exit
fi
if [[ ! -x $python ]]; then
    echo "There is no $python: \`make setup\` makes it, or set VENV to a virtual environment with projection." >&2
    exit 2
fi
exec "${command[@]}"
