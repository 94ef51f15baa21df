#!/usr/bin/env bash
# Prints a SkyPilot task that trains EXP on whichever cloud is cheapest; arguments go to `fit`. A spot machine that is
# taken away is replaced, and the training goes on from its last state.
#
#   EXP=exp DATA=s3://hospital/ecg RUNS=s3://hospital/runs launchers/skypilot/task.sh > task.yaml && sky jobs launch task.yaml
#
# DATA         the bucket or folder of the HDF5 files
# RUNS         the bucket or folder of run folders
# RUN          the run folder below runs/EXP (default: the experiment and the time)
# IMAGE        the image (default projection:latest)
# ACCELERATOR  the kind of GPU (default A100)
# GPUS         how many; 0 trains on CPUs (default 1)
# SPOT         1: machines that can be taken away (default 0)
set -euo pipefail

home=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=launchers/lib.sh
source "$home/launchers/lib.sh"
who=skypilot
answer_help "$@"
read_switches SPOT
[[ -n ${DATA:-} && -n ${RUNS:-} ]] || fail "DATA and RUNS name where data and run folders are, such as s3://hospital/ecg"
read_training "$@"
machine="cpus: 8+"
if ((gpus)); then machine="accelerators: {${ACCELERATOR:-A100}: $gpus}"; fi
spot=false
if [[ -n $SPOT ]]; then spot=true; fi

cat <<END
name: "$run"
resources:
  image_id: "docker:${IMAGE:-projection:latest}"
  $machine
  use_spot: $spot
file_mounts:
  /workspace/data: {source: "$DATA", mode: MOUNT}
  /workspace/runs: {source: "$RUNS", mode: MOUNT}
run: |
  cd /workspace && exec /opt/projection/containers/entrypoint.sh $typed
END
