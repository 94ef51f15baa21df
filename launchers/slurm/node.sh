#!/usr/bin/env bash
# What a job does on each of its nodes; train.sh calls it by srun, with these variables set:
# SCRATCH, CODE_ARCHIVE, DATA_PATH, DATA_FILES, RUNS_PATH, STAGE, CONTAINER, VENV.
#
#   node.sh hold        keep the workspace until told to end, then remove it
#   node.sh prepare     unpack the code, and copy the data here if STAGE=1
#   node.sh run ARG...  run projection
set -euo pipefail
[[ ${1:-} != --help ]] || { sed -n '2,/^[^#]/{s/^# \{0,1\}//p}' "$0" && exit; }

# of one attempt on one node: where nodes share a disk, or a lost job comes back beside its own remains, none meets another
node=${SLURMD_NODENAME:-$(hostname)}
workspace=$SCRATCH/projection_${SLURM_JOB_ID}_${SLURM_RESTART_COUNT:-0}_$node

fail() {
    echo "projection on $node: $*" >&2
    exit 1
}

# Waits for this job's other processes here, which may still be saving their state.
clean() {
    # the batch script tells again what Slurm told already
    trap '' TERM USR2
    kill "$sleeper" 2>/dev/null || true
    if [[ -e $workspace/.lock ]]; then flock --exclusive --timeout 20 "$workspace/.lock" true || true; fi
    rm -rf "$workspace"
}

# Slurm starts no more steps in a job that is cancelled, so this one waits for the end from the beginning.
hold() {
    sleeper=''
    trap '' USR1
    trap clean EXIT
    trap 'exit 0' TERM USR2
    while true; do
        sleep 60 &
        sleeper=$!
        wait "$sleeper" || true
    done
}

# Left by attempts of this job that could not end by themselves.
clear_remains() {
    local remains
    for remains in "$SCRATCH/projection_${SLURM_JOB_ID}"_*_"$node"; do
        [[ ! -d $remains ]] || flock --exclusive --nonblock "$remains/.lock" rm -rf "$remains" || true
    done
}

# A copy that was proved equal: disks of compute nodes fail too.
copy_proved() {
    local before after
    before=$(tee "$2" <"$1" | sha256sum)
    after=$(sha256sum <"$2")
    [[ $before == "$after" ]] || fail "the copy of $1 in $2 differs from it; is the disk of this node sound?"
}

check_room() {
    local needed=$1 available
    available=$(df --output=avail --block-size=1M "$SCRATCH" | tail -n 1 | tr -d ' ')
    ((available > needed)) || fail "$SCRATCH has $available MB left, and the workspace needs $needed;" \
        "set SCRATCH to another disk${STAGE:+, or STAGE=0}"
}

stage_data() {
    local file
    while IFS= read -r file; do
        mkdir -p "$(dirname "$workspace/data/$file")"
        copy_proved "$DATA_PATH/$file" "$workspace/data/$file"
    done <<<"$DATA_FILES"
}

needed_megabytes() {
    local code data=0
    code=$(gzip --decompress --stdout "$CODE_ARCHIVE" | wc --bytes)
    if [[ -n $STAGE ]]; then
        data=$(cd "$DATA_PATH" && tr '\n' '\0' <<<"$DATA_FILES" | du --bytes --dereference --total --files0-from=- | tail -n 1 | cut -f 1)
    fi
    echo $(((code + data) / 1000000 + 2))
}

# data/ and runs/ mean there what they mean in the repository, whatever the archive holds by these names.
prepare() {
    clear_remains
    check_room "$(needed_megabytes)"
    mkdir "$workspace"
    touch "$workspace/.lock"
    tar --extract --gzip --file="$CODE_ARCHIVE" --directory="$workspace" --anchored --exclude=data --exclude=runs
    if [[ -n $STAGE ]]; then
        mkdir "$workspace/data"
        stage_data
    elif [[ $CONTAINER == none ]]; then
        ln -s "$DATA_PATH" "$workspace/data"
    fi
    if [[ $CONTAINER == none ]]; then ln -s "$RUNS_PATH" "$workspace/runs"; fi
}

run() {
    exec 9<"$workspace/.lock"
    flock --shared 9
    cd "$workspace"
    if [[ $CONTAINER == none ]]; then
        exec "$VENV/bin/python" -m projection "$@"
    fi
    if [[ -n $STAGE ]]; then DATA_PATH=$workspace/data; fi
    WORKSPACE=$workspace exec launchers/singularity/run.sh "$@"
}

case ${1:-} in
hold | prepare | run) "$@" ;;
*) fail "usage: node.sh hold|prepare|run, found: ${1:-nothing}" ;;
esac
