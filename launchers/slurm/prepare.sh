# shellcheck shell=bash
# Checks what a job is to train, and packs its code: before the queue for submit.sh, and within the job for one that was
# submitted by hand. It is sourced.

# shellcheck source=launchers/slurm/lib.sh
source "$home/launchers/slurm/lib.sh"

# Words such as EXP=exp set variables; the others, from the first that is none, are options of `fit`.
read_words() {
    local name
    while [[ ${1:-} =~ ^([A-Z_]+)= ]]; do
        name=${BASH_REMATCH[1]}
        [[ " ${options[*]} " == *" $name "* ]] || fail "there is no variable $name; there are ${options[*]}"
        export "${1?}"
        shift
    done
    arguments=("$@")
}

complete_options() {
    read_own_site
    [[ -n ${EXP-demo} ]] || fail "EXP is empty; name an experiment, as in EXP=demo"
    EXP=${EXP:-demo} CONTAINER=${CONTAINER:-$HOME/projection_latest.sif}
    read_switches STAGE DRY_RUN
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
    [[ ${DEVICE:-} =~ ^(gpu|cpu|)$ ]] || fail "DEVICE is gpu or cpu; found: $DEVICE"
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

# What an experiment is called, and the files that it reads, a line each: told by the image, or where a login node has
# no Singularity, by the virtual environment.
resolved() {
    local command=("$VENV/bin/python" -m projection)
    if [[ $CONTAINER != none ]] && command -v apptainer singularity >/dev/null; then
        command=(launchers/singularity/run.sh)
    elif [[ ! -x $VENV/bin/python ]]; then
        echo "this machine has neither Singularity nor $VENV to check it with; \`make setup\` makes the latter" >&2
        return 1
    fi
    cd "$checkout" || return
    export CONTAINER DATA_PATH
    DRY_RUN='' TMPDIR=$checkout WORKSPACE=$checkout RUNS_PATH=$checkout/runs "${command[@]}" resolve "$@" \
        --field=name --field=data.path --field=files
}

check_experiment() {
    local said told file
    said=$(mktemp "$checkout.XXXX")
    told=$(resolved "$@" 2>"$said") || fail "$1${CODE:+ in commit $CODE} is not accepted:" \
        "$(grep -v '^All options' "$said" | tail -n 5 | sed -E "s/^projection [a-z]+: //" | tr -s ' \n' ' ')"
    NAMES+=${NAMES:+,}${told%%$'\n'*}
    while IFS= read -r file; do check_file "$1" "$file" "${2:-}"; done < <(tail -n +2 <<<"$told")
}

# A relative path means in a job what it means here: data/ is DATA_PATH, or its copy on the node's disk; runs/ is
# RUNS_PATH; everything else comes with the code.
check_file() {
    local named="$2, which $1${3:+ with these options} names" file=$2 hint="\`make data EXP=$1\` makes data, or"
    if [[ -n $3 ]]; then hint=; fi
    case $file in
    data/*)
        file=$DATA_PATH/${file#data/}
        DATA_FILES+=${2#data/}$'\n'
        ;;
    runs/*) file=$RUNS_PATH/${file#runs/} ;;
    /*) [[ -z $STAGE || $file == "$RUNS_PATH"/* ]] || fail "STAGE=1 copies what is named data/...; found: $named" ;;
    *)
        [[ -r $checkout/$file ]] || fail "files are named data/..., which is DATA_PATH, runs/..., which is RUNS_PATH, or by an" \
            "absolute path, or are of the code; found: $named"
        return
        ;;
    esac
    [[ -r $file ]] || fail "there is no file $file, for $named; $hint set DATA_PATH"
    if [[ -z $STAGE ]]; then file=$(absolute "$file"); fi
    [[ $CONTAINER == none || $file == "$DATA_PATH"/* || $file == "$RUNS_PATH"/* ]] ||
        fail "the image sees $DATA_PATH and $RUNS_PATH only, not $file, for $named; set DATA_PATH to its folder, or STAGE=1"
}

check_experiments() {
    local experiments each
    DATA_FILES='' NAMES=''
    IFS=, read -r -a experiments <<<"${CHECK:-$EXP}"
    for each in "${experiments[@]}"; do check_experiment "$each" "$@"; done
    DATA_FILES=$(grep . <<<"$DATA_FILES" | sort -u || true)
}

# All that a job needs to know, checked; $checkout has the code, and $checkout.tar.gz is it packed.
complete_job() {
    complete_options
    check_options
    checkout=$(mktemp -d)
    trap 'rm -rf "$checkout" "$checkout".*' EXIT
    check_runtime
    snapshot
    check_experiments ${arguments[@]+"${arguments[@]}"}
    read_key "$home/.env"
    export_all "${settings[@]}"
}
