# shellcheck shell=bash
# What submit.sh, jobs.sh and pull_latest.sh share. It is sourced.

home=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=launchers/site.sh
source "$home/launchers/site.sh"
# every variable that a user may set, on the command line or in site.env
options=(EXP SEEDS PARTITION ACCOUNT QOS TIME NODES GPUS CPUS MEM SBATCH_OPTIONS PARALLEL CODE CONTAINER VENV
    DATA_PATH RUNS_PATH SCRATCH STAGE MAX_REQUEUES IMAGE_REGISTRY DRY_RUN)

fail() {
    echo "slurm: $*" >&2
    exit 2
}

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

# what submit.sh and jobs.sh fill in: the code to run, the command, and what goes to the trainer
checkout='' sbatch=() arguments=()

# What a job needs to know; Slurm hands it on. Secrets stay where they are, in the environment.
settings=(EXP NAMES SEEDS NODES GPUS CONTAINER VENV DATA_PATH DATA_FILES RUNS_PATH SCRATCH STAGE MAX_REQUEUES CODE_ARCHIVE
    PROJECTION_GIT_COMMIT RUN_NAME RUN_DIRS)

export_settings() {
    local name
    for name in "${settings[@]}"; do export "$name=${!name:-}"; done
}

# Asks Slurm whether it would take the job.
test_submission() {
    local said
    said=$("${sbatch[@]}" --test-only "$checkout/launchers/slurm/train.sh" "${arguments[@]}" 2>&1) ||
        fail "Slurm refuses the job: $(grep -m 1 -E '(error|failure): ' <<<"$said" | sed -E 's/^.*(error|failure): //')"
}

# Submits train.sh of the code to run; sets `job`.
submit() {
    local said script=$checkout/launchers/slurm/train.sh
    mkdir -p "$home/logs"
    said=$("${sbatch[@]}" "$script" "${arguments[@]}" 2>&1) || fail "Slurm refuses the job: $(tail -n 1 <<<"$said")"
    job=$(tail -n 1 <<<"${said%%;*}")
    # for jobs.sh, to submit this job or one task of it again
    declare -p sbatch arguments "${settings[@]}" >"$home/logs/projection_train_$job.sh"
}
