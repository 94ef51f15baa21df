#!/usr/bin/env bash
#SBATCH --job-name=projection_train
#SBATCH --partition=performance
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=1
#SBATCH --cpus-per-task=4
#SBATCH --mem=32G
#SBATCH --time=1-05:00:00
#SBATCH --output=logs/projection_train_%j.out
#SBATCH --error=logs/projection_train_%j.err
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@120
#SBATCH --requeue
# Trains one experiment on the nodes of a Slurm allocation; submit.sh (`make slurm`) fills in its variables and submits
# it. By hand, from the repository's folder, with variables of site.env.example first and options of `fit` behind them:
#
#   mkdir -p logs && sbatch --gpus-per-node=2 --ntasks-per-node=2 launchers/slurm/train.sh EXP=exp --trainer.max_epochs 5
#
# The code runs in a workspace of its own on each node's disk; results go to the run folder on shared storage.
# Before the time is up, or when the job has to leave its nodes, the state is saved and the job waits for its next turn.
set -euo pipefail
[[ ${1:-} != --help ]] || { sed -n '2,/^[^#]/{s/^# \{0,1\}//p}' "$0" && exit; }

# submit.sh packed the code and checked everything before the queue; by hand, that is done here
if [[ -z ${CODE_ARCHIVE:-} ]]; then
    [[ -f ${SLURM_SUBMIT_DIR:-.}/launchers/slurm/lib.sh ]] || {
        echo "slurm: submit train.sh from the repository's folder, with sbatch" >&2
        exit 2
    }
    home=$(cd "${SLURM_SUBMIT_DIR:-.}" && pwd)
    # shellcheck source=launchers/slurm/prepare.sh
    source "$home/launchers/slurm/prepare.sh"
    for word in PARTITION ACCOUNT QOS TIME NODES GPUS CPUS MEM SBATCH_OPTIONS PARALLEL; do
        [[ " $* " != *" $word="* ]] || fail "$word is for \`make slurm\`; sbatch has options for it, before train.sh"
    done
    read_words "$@"
    GPUS=${SLURM_GPUS_ON_NODE:-0}
    complete_job
    keep_snapshot
    rm -rf "$checkout" "$checkout".*
    trap - EXIT
    set -- "${arguments[@]}"
fi

job=${SLURM_JOB_ID:-JOB}
# by its own number, one task of an array could mean the whole array
task=${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_}${SLURM_ARRAY_TASK_ID:-$job}
name=${RUN_NAME:-${SLURM_ARRAY_JOB_ID:-$job}}${SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}
nodes=${SLURM_JOB_NUM_NODES:-${NODES:-1}}
tasks=${SLURM_NTASKS_PER_NODE:-${GPUS:-1}}
# Slurm tells it where there is a GPU; where there is none, nothing trains on CPUs without being asked to
device=${DEVICE:-$([[ ${GPUS:-${SLURM_GPUS_ON_NODE:-0}} == 0 ]] && echo cpu || echo gpu)}
export OMP_NUM_THREADS=${SLURM_CPUS_PER_TASK:-4}

# An array has one task for each experiment and seed; seeds vary fastest. NAMES are the experiments as their folders are
# called; RUN_DIRS may name the run folder of each task.
choose_experiment() {
    local experiments names seeds folders index=${SLURM_ARRAY_TASK_ID:-0}
    IFS=, read -r -a experiments <<<"$EXP"
    IFS=, read -r -a names <<<"${NAMES:-$EXP}"
    IFS=, read -r -a seeds <<<"${SEEDS:-}"
    local each=$((${#seeds[@]} > 0 ? ${#seeds[@]} : 1))
    if ((index >= ${#experiments[@]} * each)); then
        echo "slurm: EXP=$EXP${SEEDS:+ SEEDS=$SEEDS} are $((${#experiments[@]} * each)) runs, counted from 0; there is no run $index" >&2
        exit 2
    fi
    experiment=${experiments[index / each]}
    seed=${seeds[index % each]:-}
    IFS=, read -r -a folders <<<"${RUN_DIRS:-}"
    run_dir=$RUNS_PATH/${folders[index]:-${names[index / each]}/$name}
}

# The allocation has the last word on nodes and devices, and a run that has begun continues.
trainer_command() {
    command=(fit --config "$experiment" ${seed:+--seed_everything "$seed"} --trainer.accelerator "$device" "$@"
        --trainer.num_nodes "$nodes" --trainer.devices "$tasks" --trainer.default_root_dir "$run_dir")
    if [[ " $* " != *" --ckpt_path"* || -e $run_dir/checkpoints/last.ckpt ]]; then
        command+=(--ckpt_path last)
    fi
}

# Always in the background: `exec`, so that signals reach srun.
on_every_node() {
    exec srun --overlap --nodes="$nodes" --ntasks="$nodes" --ntasks-per-node=1 --kill-on-bad-exit=0 --quiet "$@"
}

# `wait` ends early when a signal comes; the process may take its time.
wait_for() {
    local status
    while true; do
        status=0
        wait "$1" || status=$?
        kill -0 "$1" 2>/dev/null || return "$status"
    done
}

# Slurm's own state tells a job that must leave its node from one that was cancelled or is already requeued.
is_running() {
    [[ $(squeue --noheader --jobs="$task" --format=%T 2>/dev/null) == RUNNING ]]
}

# The tasks save their state at SIGUSR1, which srun passes on; at a SIGTERM it would kill them.
# shellcheck disable=SC2329
on_signal() {
    told=$1
    if [[ -n $step ]]; then kill -s USR1 "$step" 2>/dev/null || true; fi
}

# Runs a step that gets the signals of the job.
as_step() {
    "$@" &
    step=$!
    if [[ -n $told ]]; then on_signal "$told"; fi # it came just before
    local status=0
    wait_for "$step" || status=$?
    step=
    return "$status"
}

train() {
    as_step srun --overlap --nodes="$nodes" --ntasks=$((nodes * tasks)) --ntasks-per-node="$tasks" \
        --cpus-per-task="$OMP_NUM_THREADS" --kill-on-bad-exit=1 bash -c "$node_script" node.sh run "${command[@]}"
}

keep_workspace() {
    on_every_node bash -c "$node_script" node.sh hold &
    holder=$!
    trap release_workspace EXIT
}

release_workspace() {
    trap '' TERM USR1
    kill -s USR2 "$holder" 2>/dev/null || true
    wait "$holder" || true
}

requeue() {
    local attempt=${SLURM_RESTART_COUNT:-0} most=${MAX_REQUEUES:-10}
    if ((attempt >= most)); then
        echo "Job $name was requeued $attempt times (MAX_REQUEUES=$most); its state is in $run_dir/checkpoints." \
            "\`make slurm-resume JOB=$name\` goes on." >&2
        return 1
    fi
    echo "Requeued after ${told:-a signal} (attempt $((attempt + 1)) of at most $((most + 1))); the run continues in $run_dir."
    trap - TERM USR1
    scontrol requeue "$task" || return 1
    # Slurm ends this script; one that ended by itself would complete the job
    sleep 300
}

choose_experiment
trainer_command "$@"
if [[ -n ${DRY_RUN:-} ]]; then
    printf '%q ' srun --nodes="$nodes" --ntasks-per-node="$tasks" python -m projection "${command[@]}" && echo
    exit
fi

told=''
step=''
trap 'on_signal USR1' USR1
trap 'on_signal TERM' TERM
goes_on=
if [[ -n ${RUN_NAME:-} ]]; then goes_on=" (run $name)"; fi
echo "Job $task$goes_on, attempt $((${SLURM_RESTART_COUNT:-0} + 1)), $experiment${seed:+, seed $seed}, on $SLURM_JOB_NODELIST:" \
    "$nodes x $tasks tasks, code $PROJECTION_GIT_COMMIT, results in $run_dir"
mkdir -p "$run_dir"
if [[ ${SLURM_RESTART_COUNT:-0} != 0 && -f $run_dir/code.tar.gz ]]; then
    export CODE_ARCHIVE=$run_dir/code.tar.gz # what the run began with
else
    cp "$CODE_ARCHIVE" "$run_dir/code.tar.gz"
fi
node_script=$(tar --extract --gzip --to-stdout --file="$CODE_ARCHIVE" launchers/slurm/node.sh)
keep_workspace
status=0
as_step on_every_node bash -c "$node_script" node.sh prepare || status=$?
if [[ -z $told && $status == 0 ]]; then
    train || status=$?
fi
release_workspace
trap - EXIT
# 138 and 143: the training saved its state and ended at a SIGUSR1 or SIGTERM that went past this script, as Slurm sends
# it before it preempts
if [[ $status != 0 && (-n $told || $status == 138 || $status == 143) ]] && is_running; then
    requeue
fi
exit "$status"
