#!/usr/bin/env bash
# Rehearses a SageMaker job on this machine, without AWS: lays what SageMaker would lay into a folder shaped like
# /opt/ml, and runs what the container runs. Started again with the same SAGEMAKER_PREFIX it resumes.
#
#   EXP=demo launchers/sagemaker/rehearse.sh --trainer.max_epochs 2
#
# SAGEMAKER_PREFIX  the folder (default: a new one below /tmp)
# ENTRYPOINT        a script of your code that runs first, as in a job
# IMAGE             a SageMaker image to run it in, by docker or podman (ENGINE); default: the virtual environment VENV
set -euo pipefail

home=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=launchers/lib.sh
source "$home/launchers/lib.sh"
who=sagemaker
answer_help "$@"
python=${VENV:-$home/.venv}/bin/python
[[ -x $python ]] || fail "there is no $python; \`make setup\` makes it, or set VENV"
SAGEMAKER_PREFIX=${SAGEMAKER_PREFIX:-$(mktemp -d)}
mkdir -p "$SAGEMAKER_PREFIX"
SAGEMAKER_PREFIX=$(cd "$SAGEMAKER_PREFIX" && pwd)
PROJECTION_GIT_COMMIT=$(git -C "$home" describe --always --dirty --abbrev=40 --exclude='*' 2>/dev/null || echo unknown)
PROJECTION_ENTRYPOINT=${ENTRYPOINT:-}
PROJECTION_ENTRYPOINT=${PROJECTION_ENTRYPOINT#/opt/ml/code/}
export SAGEMAKER_PREFIX PROJECTION_GIT_COMMIT PROJECTION_ENTRYPOINT
cd "$home"
"$python" -m launchers.sagemaker lay "$@"

status=0
if [[ -n ${IMAGE:-} ]]; then
    engine=${ENGINE:-$(command -v docker || command -v podman)} || fail "there is neither docker nor podman on this machine"
    split_words ENGINE_OPTIONS
    "$engine" run --rm --ipc=host --volume "$SAGEMAKER_PREFIX:/opt/ml" --env PROJECTION_GIT_COMMIT \
        --env PROJECTION_ENTRYPOINT ${words[@]+"${words[@]}"} "$IMAGE" train || status=$?
else
    PYTHON=$(cd "$(dirname "$python")" && pwd)/python launchers/sagemaker/train.sh || status=$?
fi
echo "Exit status $status; everything is in $SAGEMAKER_PREFIX: checkpoints/ (the run folder), model/, output/;" \
    "started again with this SAGEMAKER_PREFIX, it goes on"
exit "$status"
