# shellcheck shell=bash
# What submit.sh, jobs.sh and pull_latest.sh share. It is sourced.

home=${home:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
# shellcheck source=launchers/lib.sh
source "$home/launchers/lib.sh"
who=slurm
# every variable that a user may set, on the command line or in site.env
options=(EXP SEEDS PARTITION ACCOUNT QOS TIME NODES GPUS CPUS MEM SBATCH_OPTIONS PARALLEL CODE CONTAINER VENV
    DATA_PATH RUNS_PATH RUN_NAME SCRATCH STAGE DEVICE MAX_REQUEUES IMAGE_REGISTRY DRY_RUN)

read_own_site() {
    read_site "$home/launchers/slurm/site.env" "${options[@]}"
}

need_slurm() {
    command -v sbatch >/dev/null || fail "there is no sbatch on this machine; run this on a login node of your cluster"
}

check_job() {
    [[ ${JOB:-} =~ ^[0-9]+(_[0-9]+)?$ ]] || fail "JOB is the number of a job, as in JOB=123 or JOB=123_4; found: ${JOB:-nothing}"
}

absolute() {
    realpath --canonicalize-missing -- "$1"
}

LONGEST=1-05:00:00 # as in train.sh

# what submit.sh and jobs.sh fill in: the code to run, the command, and what goes to the trainer
checkout='' sbatch=() arguments=()

# what may change when a job is submitted again; all else says which run it is
resources=(PARTITION ACCOUNT QOS TIME NODES GPUS CPUS MEM SBATCH_OPTIONS PARALLEL CONTAINER VENV DATA_PATH SCRATCH STAGE
    DEVICE MAX_REQUEUES)

# What a job needs to know; Slurm hands it on. Secrets stay where they are, in the environment.
settings=(EXP NAMES SEEDS NODES GPUS CONTAINER VENV DATA_PATH DATA_FILES RUNS_PATH SCRATCH STAGE DEVICE MAX_REQUEUES CODE_ARCHIVE
    PROJECTION_GIT_COMMIT RUN_NAME RUN_DIRS)

export_all() {
    local name
    for name in "$@"; do export "$name=${!name:-}"; done
}

need_logs() {
    { mkdir -p "$home/logs" && [[ -w $home/logs ]]; } 2>/dev/null || fail "logs cannot be written in $home/logs"
}

# Of Slurm's ways to write a time: minutes, minutes:seconds, hours:minutes:seconds, or days before hours.
seconds_of() {
    local days=0 first second third
    IFS=: read -r first second third <<<"${1#*-}"
    if [[ $1 == *-* ]]; then
        days=${1%%-*}
    elif [[ -z $third ]]; then
        third=${second:-0} second=$first first=0
    fi
    echo $((10#$days * 86400 + 10#$first * 3600 + 10#${second:-0} * 60 + 10#${third:-0}))
}

# Slurm takes a job that wants more time than its partition gives, and lets it wait for ever.
check_time() {
    local partition=${PARTITION:-performance} limit
    limit=$(sinfo --noheader --partition="$partition" --format=%l 2>/dev/null | head -n 1) || true
    [[ $limit =~ ^([0-9]+-)?[0-9:]+$ && ${TIME:-0} =~ ^([0-9]+-)?[0-9:]+$ ]] || return 0
    if (($(seconds_of "${TIME:-$LONGEST}") > $(seconds_of "$limit"))); then
        [[ -z ${TIME:-} ]] || fail "TIME=$TIME is more than partition $partition gives, which is $limit"
        TIME=$limit
    fi
}

# The defaults stand in train.sh; here is what was asked for.
sbatch_options() {
    local count gpus=${GPUS:?}
    if [[ ${DEVICE:-} == cpu ]]; then gpus=0; fi
    count=$(($(tr ',' '\n' <<<"$EXP" | wc -l) * $(tr ',' '\n' <<<"${SEEDS:-0}" | wc -l)))
    sbatch=(sbatch --parsable --chdir="$home" --export=ALL ${PARTITION:+--partition="$PARTITION"}
        ${ACCOUNT:+--account="$ACCOUNT"} ${QOS:+--qos="$QOS"} ${TIME:+--time="$TIME"} ${MEM:+--mem="$MEM"}
        ${NODES:+--nodes="$NODES"} ${CPUS:+--cpus-per-task="$CPUS"} --gpus-per-node="$gpus"
        --ntasks-per-node=$((GPUS > 0 ? GPUS : 1)))
    if ((count > 1)) || [[ -n ${ARRAY:-} ]]; then
        sbatch+=(--array="${ARRAY:-0-$((count - 1))}%${PARALLEL:-4}" --output=logs/projection_train_%A_%a.out
            --error=logs/projection_train_%A_%a.err)
    fi
    split_words SBATCH_OPTIONS
    sbatch+=(${words[@]+"${words[@]}"})
}

# Asks Slurm whether it would take the job.
test_submission() {
    local said
    said=$("${sbatch[@]}" --test-only "$checkout/launchers/slurm/train.sh" "${arguments[@]}" 2>&1) ||
        fail "Slurm refuses the job: $(grep -m 1 -E '(error|failure): ' <<<"$said" | sed -E 's/^.*(error|failure): //')"
}

say_how_to_go_on() {
    echo "make slurm-status; make slurm-logs JOB=$job; make slurm-cancel JOB=$job"
}

# Submits train.sh of the code to run; sets `job`.
submit() {
    local said script=$checkout/launchers/slurm/train.sh
    said=$("${sbatch[@]}" "$script" "${arguments[@]}" 2>&1) || fail "Slurm refuses the job: $(tail -n 1 <<<"$said")"
    job=$(tail -n 1 <<<"${said%%;*}")
    # for jobs.sh, to submit this job or one task of it again; it is read within a function
    ARRAY=${ARRAY:-}
    export_all "${resources[@]}"
    declare -p arguments ARRAY "${resources[@]}" "${settings[@]}" | sed 's/^declare /declare -g /' >"$home/logs/projection_train_$job.sh"
}
