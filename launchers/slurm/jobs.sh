#!/usr/bin/env bash
# Looks after submitted trainings. `make slurm-status`, `slurm-logs`, `slurm-cancel` and `slurm-resume` call it.
#
#   launchers/slurm/jobs.sh status
#   JOB=123 launchers/slurm/jobs.sh logs     # follow what the job says, to its end
#   JOB=123_4 launchers/slurm/jobs.sh cancel
#   JOB=123_4 launchers/slurm/jobs.sh resume # submit one task of array 123 again, into its own run folder
set -euo pipefail
# shellcheck source=launchers/slurm/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

status() {
    squeue --me --name=projection_train --format='%.14i %.10T %.12M %.12l %.6D %.10P %R' "$@"
}

is_queued() {
    [[ -n $(squeue --noheader --jobs="$JOB" 2>/dev/null) ]]
}

logs() {
    local files=("$home/logs/projection_train_$JOB.out" "$home/logs/projection_train_$JOB.err")
    if ! is_queued; then
        [[ -e ${files[0]} ]] || fail "there is no ${files[0]}, and Slurm knows no job $JOB"
        tail --lines=200 "${files[@]}"
        return
    fi
    tail --lines=200 --follow=name --retry "${files[@]}" 2>/dev/null &
    trap 'kill $!' EXIT
    while is_queued; do sleep 2; done
    sleep 1
}

cancel() {
    is_queued || fail "job $JOB is not in the queue"
    scancel "$JOB"
    echo "Cancelled job $JOB; \`make slurm-resume JOB=$JOB\` goes on with it."
}

# Two jobs in one run folder would overwrite each other's state.
check_not_resumed() {
    local queued record
    for queued in $(squeue --me --noheader --name=projection_train --format=%F | sort -u); do
        record=$home/logs/projection_train_$queued.sh
        if grep -qs "RUN_NAME=\"$RUN_NAME\"" "$record" && { [[ $JOB != *_* ]] || grep -q -- "--array=${JOB#*_}\"" "$record"; }; then
            fail "job $queued continues the run of job $JOB already"
        fi
    done
}

resume() {
    local record=$home/logs/projection_train_${JOB%%_*}.sh before=$JOB
    is_queued && fail "job $JOB is in the queue still; \`make slurm-cancel JOB=$JOB\` ends it"
    [[ -f $record ]] || fail "there is no $record, which tells how job $JOB was submitted"
    # shellcheck disable=SC1090
    source "$record"
    [[ -f $CODE_ARCHIVE ]] || fail "the code of job $JOB, $CODE_ARCHIVE, is gone"
    RUN_NAME=${RUN_NAME:-${JOB%%_*}}
    check_not_resumed
    if [[ $JOB == *_* ]]; then sbatch+=(--array="${JOB#*_}"); fi
    checkout=$(mktemp -d)
    trap 'rm -rf "$checkout"' EXIT
    tar --extract --gzip --file="$CODE_ARCHIVE" --directory="$checkout"
    export_settings
    test_submission
    submit
    echo "Submitted job $before again, as job $job: it continues in the same run folder."
}

need_slurm
case ${1:-} in
status) "$@" ;;
logs | cancel | resume)
    check_job
    "$@"
    ;;
*) fail "usage: jobs.sh status|logs|cancel|resume, found: ${1:-nothing}" ;;
esac
