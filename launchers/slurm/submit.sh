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
# shellcheck source=launchers/slurm/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

complete_options() {
    read_own_site
    EXP=${EXP:-demo} GPUS=${GPUS:-1} CONTAINER=${CONTAINER:-$HOME/projection_latest.sif} STAGE=${STAGE:-0}
    [[ $CONTAINER == none ]] || CONTAINER=$(absolute "$CONTAINER")
    VENV=$(absolute "${VENV:-$home/.venv}")
    DATA_PATH=$(absolute "${DATA_PATH:-$home/data}")
    RUNS_PATH=$(absolute "${RUNS_PATH:-$home/runs}")
    SCRATCH=$(absolute "${SCRATCH:-/tmp}")
}

check_options() {
    local name
    # what each of them may be called is known to projection; no comma is lost, and nothing looks like an option
    [[ $EXP =~ ^[A-Za-z0-9_][A-Za-z0-9_./+,-]*$ ]] ||
        fail "EXP is the name of an experiment, or several separated by commas, as in EXP=demo,exp; found: ${EXP//$'\n'/ }"
    [[ ${SEEDS:-0} =~ ^[0-9]+(,[0-9]+)*$ ]] || fail "SEEDS are whole numbers separated by commas; found: $SEEDS"
    [[ ${ARRAY:-0} =~ ^[0-9]+(,[0-9]+)*$ ]] || fail "ARRAY are whole numbers separated by commas; found: $ARRAY"
    [[ ${RUN_DIRS:-} =~ ^[A-Za-z0-9_./,-]*$ && ${RUN_DIRS:-} != *..* ]] || fail "RUN_DIRS are folders separated by commas; found: $RUN_DIRS"
    for name in NODES GPUS CPUS PARALLEL MAX_REQUEUES; do
        [[ ${!name:-1} =~ ^[0-9]+$ ]] || fail "$name is a whole number; found: ${!name}"
    done
    [[ $STAGE == [01] ]] || fail "STAGE is 0 or 1; found: $STAGE"
}

check_runtime() {
    if [[ $CONTAINER == none ]]; then
        [[ -x $VENV/bin/python ]] || fail "there is no virtual environment $VENV; \`make setup\` makes it, or set VENV"
    else
        [[ -r $CONTAINER ]] ||
            fail "there is no image $CONTAINER; make it with \`make sif\`, fetch it with launchers/slurm/pull_latest.sh," \
                "set CONTAINER to another, or CONTAINER=none to use the virtual environment"
    fi
    [[ -d $DATA_PATH ]] || fail "there is no data folder $DATA_PATH; \`make data EXP=${EXP%%,*}\` makes the data, or set DATA_PATH"
}

# The code as it is now, or at one commit, in a checkout of its own.
snapshot() {
    "$home/launchers/snapshot.sh" "$checkout.tar.gz" ${CODE:+"$CODE"} || exit 2
    CODE_ARCHIVE=$RUNS_PATH/.code/$(sha256sum <"$checkout.tar.gz" | cut -c 1-16).tar.gz
    tar --extract --gzip --file="$checkout.tar.gz" --directory="$checkout" || fail "the code could not be unpacked in $checkout"
    [[ -f $checkout/projection/resolve.py ]] || fail "the commit CODE=$CODE is older than these launchers"
    PROJECTION_GIT_COMMIT=$(git -C "$home" rev-parse --verify --quiet "${CODE:-HEAD}^{commit}" || echo unknown)
    if [[ -z ${CODE:-} && -n $(git -C "$home" status --porcelain 2>/dev/null) ]]; then
        PROJECTION_GIT_COMMIT+=-dirty
    fi
}

# Kept once for each state of the code that was ever submitted.
keep_snapshot() {
    mkdir -p "$RUNS_PATH/.code" 2>/dev/null || fail "run folders cannot be made in $RUNS_PATH; set RUNS_PATH"
    # beside the target first: a rename is all or nothing, also between two submissions
    cp "$checkout.tar.gz" "$CODE_ARCHIVE.$$.partial"
    mv "$CODE_ARCHIVE.$$.partial" "$CODE_ARCHIVE"
}

# What an experiment is called, and its data files, a line each: told by the image, or where a login node has no
# Singularity, by the virtual environment.
resolved() {
    local command=("$VENV/bin/python" -m projection)
    if [[ $CONTAINER != none ]] && command -v apptainer singularity >/dev/null; then
        command=(launchers/singularity/run.sh)
    elif [[ ! -x $VENV/bin/python ]]; then
        echo "this machine has neither Singularity nor $VENV to check it with; \`make setup\` makes the latter" >&2
        return 1
    fi
    cd "$checkout"
    export CONTAINER DATA_PATH
    DRY_RUN='' TMPDIR=$checkout WORKSPACE=$checkout RUNS_PATH=$checkout/runs "${command[@]}" resolve "$@" \
        --field=name --field=data.path
}

check_experiment() {
    local said told file
    said=$(mktemp "$checkout.XXXX")
    told=$(resolved "$@" 2>"$said") || fail "$1${CODE:+ in commit $CODE} is not accepted:" \
        "$(grep -v '^All options' "$said" | tail -n 5 | sed -E "s/^projection [a-z]+: //" | tr -s ' \n' ' ')"
    NAMES+=${NAMES:+,}${told%%$'\n'*}
    while IFS= read -r file; do check_data_file "$1" "$file"; done < <(tail -n +2 <<<"$told")
}

# A job sees DATA_PATH as data/, also when it is a copy on the node's disk, and an image sees nothing else.
check_data_file() {
    local named="$2, which configs/$1.yaml names" file=$2
    case $file in
    data/*)
        file=$DATA_PATH/${file#data/}
        DATA_FILES+=${2#data/}$'\n'
        ;;
    /*) [[ $STAGE == 0 ]] || fail "STAGE=1 copies what is named data/...; found: $named" ;;
    *) fail "data are named data/..., which is DATA_PATH, or by an absolute path; found: $named" ;;
    esac
    [[ -r $file ]] || fail "there is no data file $file, for $named; \`make data EXP=$1\` makes it, or set DATA_PATH"
    if [[ $STAGE == 0 ]]; then file=$(absolute "$file"); fi
    [[ $CONTAINER == none || $file == "$DATA_PATH"/* ]] ||
        fail "the image sees $DATA_PATH only, not $file, for $named; set DATA_PATH to its folder, or STAGE=1"
}

check_experiments() {
    local experiments each
    DATA_FILES='' NAMES=''
    IFS=, read -r -a experiments <<<"${CHECK:-$EXP}"
    for each in "${experiments[@]}"; do check_experiment "$each" "$@"; done
    DATA_FILES=$(grep . <<<"$DATA_FILES" | sort -u || true)
}

# The defaults stand in train.sh; here is what was asked for.
sbatch_options() {
    local count
    count=$(($(tr ',' '\n' <<<"$EXP" | wc -l) * $(tr ',' '\n' <<<"${SEEDS:-0}" | wc -l)))
    sbatch=(sbatch --parsable --chdir="$home" --export=ALL ${PARTITION:+--partition="$PARTITION"}
        ${ACCOUNT:+--account="$ACCOUNT"} ${QOS:+--qos="$QOS"} ${TIME:+--time="$TIME"} ${MEM:+--mem="$MEM"}
        ${NODES:+--nodes="$NODES"} ${CPUS:+--cpus-per-task="$CPUS"} --gpus-per-node="$GPUS"
        --ntasks-per-node=$((GPUS > 0 ? GPUS : 1)))
    if ((count > 1)) || [[ -n ${ARRAY:-} ]]; then
        sbatch+=(--array="${ARRAY:-0-$((count - 1))}%${PARALLEL:-4}" --output=logs/projection_train_%A_%a.out
            --error=logs/projection_train_%A_%a.err)
    fi
    local words
    read -r -a words <<<"${SBATCH_OPTIONS:-}"
    sbatch+=("${words[@]}")
}

main() {
    complete_options
    check_options
    checkout=$(mktemp -d)
    trap 'rm -rf "$checkout" "$checkout".*' EXIT
    check_runtime
    snapshot
    check_experiments "$@"
    sbatch_options
    arguments=("$@")
    export_settings
    if [[ ${DRY_RUN:-} == 1 ]]; then
        printf '%q ' "${sbatch[@]}" launchers/slurm/train.sh "$@" && echo
        cat "$checkout/launchers/slurm/train.sh"
        bash "$checkout/launchers/slurm/train.sh" "$@"
        exit
    fi
    need_slurm
    test_submission
    keep_snapshot
    submit
    local what="$EXP${SEEDS:+, seeds $SEEDS}"
    if [[ -n ${ARRAY:-} ]]; then what="$(tr ',' '\n' <<<"$ARRAY" | wc -l) runs"; fi
    echo "Submitted job $job: $what, code $PROJECTION_GIT_COMMIT; results in $RUNS_PATH"
    echo "make slurm-status; make slurm-logs JOB=$job; make slurm-cancel JOB=$job"
}

main "$@"
