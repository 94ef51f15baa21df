#!/usr/bin/env bash
# Looks after submitted trainings. `make slurm-status`, `slurm-logs`, `slurm-cancel` and `slurm-resume` call it.
#
#   launchers/slurm/jobs.sh status
#   JOB=123 launchers/slurm/jobs.sh logs     # follow what the job says, to its end; of an array all tasks, or one: 123_4
#   JOB=123_4 launchers/slurm/jobs.sh cancel
#   JOB=123_4 launchers/slurm/jobs.sh resume # submit one task of array 123 again, into its own run folder
#
# What is set for resume counts, where it does not say what the run is: TIME=8:00:00, MEM, PARTITION, GPUS ..., and ARGS
# behind those of the job. DRY_RUN=1 prints what would be submitted.
set -euo pipefail

home=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=launchers/slurm/prepare.sh
source "$home/launchers/slurm/prepare.sh"

# In the queue, one line a task; then what ended within two days, and below what failed its last words.
status() {
    local id words state time limit where file queued=' ' queue
    queue=$(squeue --me --array --noheader --name=projection_train --format='%i|%T|%M|%l|%R') || fail "Slurm does not answer"
    printf '%-14s %-11s %-11s %-11s %-20s %s\n' JOB STATE TIME LIMIT 'NODES OR REASON' RUN
    while IFS='|' read -r id state time limit where && [[ -n $id ]]; do
        queued+="$id "
        printf '%-14s %-11s %-11s %-11s %-20s %s\n' "$id" "$state" "$time" "$limit" "$where" "$(run_of "$id")"
    done <<<"$queue"
    while IFS= read -r file; do
        id=${file##*projection_train_} && id=${id%.out}
        [[ $queued != *" $id "* ]] || continue
        state=$(end_of "$id") words=$(last_words "$id")
        printf '%-14s %-56s %s\n' "$id" "$state" "$(run_of "$id")"
        [[ -z $words || $state == COMPLETED ]] || printf '%14s %s\n' '' "$words"
    done < <(find "$home/logs" -name 'projection_train_*.out' -mtime -2 2>/dev/null | sort)
}

# What a job said of itself when it began, or before, what it was submitted as.
run_of() {
    local record=$home/logs/projection_train_${1%%_*}.sh log=$home/logs/projection_train_$1.out
    if grep -qs '^Job .* results in ' "$log"; then
        grep '^Job .* results in ' "$log" | tail -n 1 | sed -E 's/^Job [^,]*, attempt [0-9]+, (.*), on .* results in /\1, /'
    elif [[ -f $record ]]; then
        # shellcheck disable=SC1090
        (source "$record" && planned "${1#"${1%%_*}"}")
    fi
}

# planned [_INDEX]: which of EXP and SEEDS a task of an array will train; seeds vary fastest, as in train.sh.
planned() {
    local experiments seeds index=${1#_}
    IFS=, read -r -a experiments <<<"$EXP"
    IFS=, read -r -a seeds <<<"${SEEDS:-}"
    local each=$((${#seeds[@]} > 0 ? ${#seeds[@]} : 1))
    if [[ $index =~ ^[0-9]+$ ]]; then
        echo "${experiments[index / each]}${SEEDS:+, seed ${seeds[index % each]}}"
    else
        echo "$EXP${SEEDS:+, seeds $SEEDS}"
    fi
}

# Slurm's word, where it keeps accounts.
end_of() {
    local state
    state=$(sacct --noheader --parsable2 --allocations --jobs="$1" --format=State 2>/dev/null | tail -n 1)
    echo "${state:-ended}" | cut -d ' ' -f 1
}

last_words() {
    [[ $(tail -n 1 "$home/logs/projection_train_$1.out" 2>/dev/null) == TensorBoard:* ]] ||
        grep -vsE '^ *$|srun: |slurmstepd: .*(STEP|JOB)' "$home/logs/projection_train_$1.err" | tail -n 1 | cut -c 1-200
}

# A controller that does not answer is not an empty queue.
is_queued() {
    local queue
    queue=$(squeue --me --array --noheader --format=%i 2>&1) || fail "Slurm does not answer, so nothing was done: ${queue##*error: }"
    grep -qxE "$JOB(_[0-9]+)?" <<<"$queue"
}

logs() {
    local files seen=''
    if ! is_queued; then
        mapfile -t files < <(log_files)
        ((${#files[@]})) || fail "there is no log of job $JOB in $home/logs, and it is not in the queue"
        tail --lines=200 "${files[@]}"
        say_what_goes_on
        return
    fi
    trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
    while is_queued; do
        # tasks of an array begin one after the other
        while IFS= read -r file; do
            if [[ $seen != *" $file "* ]]; then
                tail --lines=200 --follow "$file" 2>/dev/null &
                seen+=" $file "
            fi
        done < <(log_files)
        [[ -n $seen ]] || say_why_it_waits
        sleep 2
    done
    sleep 1
}

say_what_goes_on() {
    local record
    while IFS= read -r record; do
        record=${record##*projection_train_}
        echo "Job ${record%.sh} goes on with it: make slurm-logs JOB=${record%.sh}"
    done < <(grep -lsE "RUN_NAME=\"?${JOB%%_*}\"?$" "$home"/logs/projection_train_*.sh)
}

log_files() {
    find "$home/logs" -regextype posix-extended -regex ".*/projection_train_${JOB}(_[0-9]+)?\.(out|err)" 2>/dev/null | sort
}

say_why_it_waits() {
    local reason
    reason=$(squeue --noheader --jobs="$JOB" --format='%T %R, expected to start: %S' | head -n 1)
    [[ $reason == "${told:-}" ]] || echo "Job $JOB is $reason"
    told=$reason
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
        if grep -qsE "RUN_NAME=\"?$RUN_NAME\"?$" "$record" && { [[ $JOB != *_* ]] || grep -qsE "ARRAY=\"?${JOB#*_}\"?$" "$record"; }; then
            fail "job $queued continues the run of job $JOB already"
        fi
    done
}

resume() {
    local record=$home/logs/projection_train_${JOB%%_*}.sh before=$JOB
    ! is_queued || fail "job $JOB is in the queue still; \`make slurm-cancel JOB=$JOB\` ends it"
    [[ -f $record ]] || fail "there is no $record, which tells how job $JOB was submitted; one that was submitted by hand" \
        "goes on by the same sbatch line with RUN_NAME=${JOB%%_*} behind train.sh"
    read_site "$record" "${resources[@]}"
    [[ -n ${CODE_ARCHIVE:-} ]] || fail "job $JOB was submitted by an older version, whose record says too little; submit it anew" \
        "with RUN_NAME=${JOB%%_*}"
    [[ -f $CODE_ARCHIVE ]] || fail "the code of job $JOB, $CODE_ARCHIVE, is gone"
    complete_options
    check_options
    check_runtime
    RUN_NAME=${RUN_NAME:-${JOB%%_*}}
    check_not_resumed
    if [[ $JOB == *_* ]]; then ARRAY=${JOB#*_}; fi
    [[ -n $DRY_RUN ]] || check_time # a dry run needs no cluster
    sbatch_options
    arguments+=("$@")
    if [[ -n $DRY_RUN ]]; then
        printf '%q ' "${sbatch[@]}" launchers/slurm/train.sh ${arguments[@]+"${arguments[@]}"} && echo
        return
    fi
    checkout=$(mktemp -d)
    trap 'rm -rf "$checkout"' EXIT
    tar --extract --gzip --file="$CODE_ARCHIVE" --directory="$checkout"
    export_all "${settings[@]}"
    need_logs
    test_submission
    submit
    echo "Submitted job $before again, as job $job: it continues in the same run folder."
    say_how_to_go_on
}

answer_help "$@"
need_slurm
case ${1:-} in
status) status ;;
logs | cancel | resume)
    check_job
    "$@"
    ;;
*) fail "usage: jobs.sh status|logs|cancel|resume, found: ${1:-nothing}; --help tells more" ;;
esac
