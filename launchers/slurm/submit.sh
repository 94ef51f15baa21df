#!/usr/bin/env bash
# Checks and submits a training, or an array of them, to Slurm. `make slurm` calls it.
#
#   EXP=exp GPUS=4 NODES=2 TIME=8:00:00 launchers/slurm/submit.sh --trainer.max_epochs 5
#   EXP=a,b,c SEEDS=0,1,2 PARALLEL=4 launchers/slurm/submit.sh
#   EXP=benchmark/all+nets/s4 launchers/slurm/submit.sh    # stacked configs
#
# For those who submit parts of a table: ARRAY=0,5 runs only these of EXP x SEEDS (seeds vary fastest), RUN_DIRS names
# the run folder of each below RUNS_PATH, and CHECK the experiments to check, where all were parsed before.
#
# site.env.example beside this file lists the variables; DRY_RUN=1 prints what would be submitted.
set -euo pipefail
home=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=launchers/slurm/prepare.sh
source "$home/launchers/slurm/prepare.sh"

main() {
    answer_help "$@"
    read_words "$@"
    GPUS=${GPUS:-1}
    complete_job
    [[ -n $DRY_RUN ]] || check_time # a dry run needs no cluster
    sbatch_options
    if [[ -n $DRY_RUN ]]; then
        printf '%q ' "${sbatch[@]}" launchers/slurm/train.sh "${arguments[@]}" && echo
        cat "$checkout/launchers/slurm/train.sh"
        DRY_RUN=1 bash "$checkout/launchers/slurm/train.sh" "${arguments[@]}"
        exit
    fi
    need_slurm
    need_logs
    test_submission
    keep_snapshot
    submit
    local what="$EXP${SEEDS:+, seeds $SEEDS}"
    if [[ -n ${ARRAY:-} ]]; then what="$(tr ',' '\n' <<<"$ARRAY" | wc -l) runs"; fi
    echo "Submitted job $job: $what, code $PROJECTION_GIT_COMMIT; results in $RUNS_PATH"
    say_how_to_go_on
}

main "$@"
