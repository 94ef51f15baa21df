#!/usr/bin/env bash
# Trains on Amazon SageMaker, and looks after jobs there. `make sagemaker` and `make sagemaker-...` call it.
#
#   EXP=benchmark/all+nets/s4 INSTANCE=ml.g5.2xlarge launchers/sagemaker/sagemaker.sh submit --trainer.max_epochs 5
#   EXP=exp,demo SEEDS=0,1,2 launchers/sagemaker/sagemaker.sh submit    # a job for each experiment and seed
#   JOB=exp-20260101-120000-1a2b launchers/sagemaker/sagemaker.sh status|logs|stop|resume|fetch
#   launchers/sagemaker/sagemaker.sh image    # builds the image and pushes it to ECR
#
# site.env.example beside this file lists the variables; DRY_RUN=1 prints what would be submitted. What is typed with
# resume counts: INSTANCE, COUNT, VOLUME, TIME, WAIT and SPOT.
set -euo pipefail

home=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=launchers/lib.sh
source "$home/launchers/lib.sh"
who=sagemaker
answer_help "$@"
options=(EXP SEEDS DATA MODE HOURS ALL JOB JOB_NAME REGION ACCOUNT ROLE BUCKET PREFIX IMAGE REPOSITORY TAG BASE ENGINE
    INSTANCE COUNT VOLUME TIME WAIT SPOT SUBNETS SECURITY_GROUPS KMS_KEY TAGS METRICS ENTRYPOINT REQUEST RUNS_PATH FOLDER VENV DRY_RUN)

TYPED=
for name in "${options[@]}"; do
    if [[ -n ${!name:-} ]]; then TYPED+=" $name"; fi
done
export TYPED
read_site "$home/launchers/sagemaker/site.env" "${options[@]}"
read_switches SPOT DRY_RUN ALL
for name in "${options[@]}"; do
    if [[ -n ${!name:-} ]]; then export "${name?}"; fi
done
python=${VENV:-$home/.venv}/bin/python
[[ -x $python ]] || fail "there is no $python; \`make setup-sagemaker\` makes it, or set VENV"
cd "$home"
exec "$python" -m launchers.sagemaker "$@"
