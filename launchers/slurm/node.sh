#!/usr/bin/env bash
# What a job does on each of its nodes; train.sh calls it by srun, with these variables set:
# WORKSPACE, CODE_ARCHIVE, DATA_PATH, DATA_FILES, STAGE, CONTAINER, VENV.
#
#   node.sh hold        keep the workspace until told to end, then remove it
#   node.sh prepare     unpack the code, and copy the data here if STAGE=1
#   node.sh run ARG...  run projection
set -euo pipefail

attempt=${SLURM_RESTART_COUNT:-0}

fail() {
    echo "projection on ${SLURMD_NODENAME:-$(hostname)}: $*" >&2
    exit 1
}

# Waits for this job's other processes on the node, which may still be saving their state.
clean() {
    # the batch script tells again what Slurm told already
    trap '' TERM USR2
    flock --exclusive --timeout 20 "$WORKSPACE.lock" true || true
    exec 7<>"$WORKSPACE.prepare"
    flock 7
    # after a node failure the job may be here again before its first attempt has gone
    [[ $(cat "$WORKSPACE.prepare") =~ ^("$attempt"|)$ ]] || return 0
    rm -rf "$WORKSPACE" "$WORKSPACE.lock" "$WORKSPACE.prepare"
}

hold() {
    trap '' USR1
    trap clean EXIT
    trap 'exit 0' TERM USR2
    # waits for input that never comes: a `sleep` would get the signals too
    exec 8<> <(:)
    while true; do read -r -t 60 -u 8 || true; done
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
    available=$(df --output=avail --block-size=1M "$(dirname "$WORKSPACE")" | tail -n 1 | tr -d ' ')
    ((available > needed)) || fail "$(dirname "$WORKSPACE") has $available MB left, and the workspace needs $needed;" \
        "set SCRATCH to another disk$([[ $STAGE == 0 ]] || echo ', or STAGE=0')"
}

stage_data() {
    local file
    mkdir "$WORKSPACE/data"
    while IFS= read -r file; do
        mkdir -p "$(dirname "$WORKSPACE/data/$file")"
        copy_proved "$DATA_PATH/$file" "$WORKSPACE/data/$file"
    done <<<"$DATA_FILES"
}

needed_megabytes() {
    local code data=0
    code=$(gzip --decompress --stdout "$CODE_ARCHIVE" | wc --bytes)
    if [[ $STAGE == 1 ]]; then
        data=$(cd "$DATA_PATH" && tr '\n' '\0' <<<"$DATA_FILES" | du --bytes --dereference --total --files0-from=- | tail -n 1 | cut -f 1)
    fi
    echo $(((code + data) / 1000000 + 2))
}

# Where several nodes share one disk, the first one prepares it. An earlier attempt's remains are cleared away.
prepare() {
    exec 7<>"$WORKSPACE.prepare"
    flock 7
    [[ $(cat "$WORKSPACE/.attempt" 2>/dev/null) == "$attempt" ]] && return
    echo "$attempt" >"$WORKSPACE.prepare"
    touch "$WORKSPACE.lock"
    rm -rf "$WORKSPACE"
    check_room "$(needed_megabytes)"
    mkdir "$WORKSPACE"
    tar --extract --gzip --file="$CODE_ARCHIVE" --directory="$WORKSPACE"
    if [[ $STAGE == 1 ]]; then
        stage_data
    elif [[ $CONTAINER == none ]]; then
        ln -s "$DATA_PATH" "$WORKSPACE/data"
    fi
    echo "$attempt" >"$WORKSPACE/.attempt"
}

run() {
    exec 9<"$WORKSPACE.lock"
    flock --shared 9
    cd "$WORKSPACE"
    if [[ $CONTAINER == none ]]; then
        exec "$VENV/bin/python" -m projection "$@"
    fi
    if [[ $STAGE == 1 ]]; then
        DATA_PATH=$WORKSPACE/data
    fi
    exec launchers/singularity/run.sh "$@"
}

case ${1:-} in
hold | prepare | run) "$@" ;;
*) fail "usage: node.sh hold|prepare|run, found: ${1:-nothing}" ;;
esac
