# shellcheck shell=bash
# What the launchers share. It is sourced; the script's first comment is its --help.

who=launchers

fail() {
    echo "$who: $*" >&2
    exit 2
}

# With --help or -h as the first word, shows what the script is for, and ends.
answer_help() {
    if [[ ${1:-} == --help || ${1:-} == -h ]]; then
        sed -n '2,/^[^#]/{s/^# \{0,1\}//p}' "$0"
        exit
    fi
}

# Switches are on (1, true, yes) or off (0, false, no, nothing), and become 1 or nothing.
read_switches() {
    local name
    for name in "$@"; do
        case ${!name:-} in
        1 | [Tt]rue | TRUE | [Yy]es | YES | [Oo]n | ON) printf -v "$name" 1 ;;
        '' | 0 | [Ff]alse | FALSE | [Nn]o | NO | [Oo]ff | OFF) printf -v "$name" '' ;;
        *) fail "$name is a switch: 0 or 1, false or true, no or yes; found: ${!name}" ;;
        esac
    done
}

# read_key FILE: takes the key of Weights & Biases from a file .env, where the environment has none; no command line shows it.
read_key() {
    local file=$1 key
    [[ -z ${WANDB_API_KEY:-} && -r $file ]] || return 0
    key=$(sed -nE "s/^(export +)?WANDB_API_KEY=[\"']?([^\"']*)[\"']?[[:space:]]*$/\\2/p" "$file" | tail -n 1)
    if [[ -n $key ]]; then export WANDB_API_KEY=$key; fi
}

# split_words NAME: sets `words` to those of a variable, split as a shell splits them, quotes and all; nothing is expanded.
split_words() {
    local word text=${!1:-}
    words=()
    [[ -n $text ]] || return 0
    # the line ends, or xargs would lose an empty word there
    printf '%s\n' "$text" | xargs printf '' 2>/dev/null || fail "$1 has a quote without its other half: $text"
    while IFS= read -r -d '' word; do words+=("$word"); done < <(printf '%s\n' "$text" | xargs printf '%s\0')
}

# read_site FILE NAME...: sources FILE; what was given on the command line or in the environment wins over it.
read_site() {
    local file=$1 given=() name
    shift
    [[ -f $file ]] || return 0
    for name in "$@"; do
        if [[ -n ${!name:-} ]]; then given+=("$name=${!name}"); fi
    done
    # shellcheck disable=SC1090
    source "$file"
    for name in ${given[@]+"${given[@]}"}; do
        printf -v "${name%%=*}" '%s' "${name#*=}"
    done
}

# read_training ARGUMENTS: for launchers that print what a cluster is to run, sets `run`, its name; `gpus`; and the words
# of the image's command, as JSON in `listed` and quoted for a shell in `typed`.
# shellcheck disable=SC2034
read_training() {
    local experiment=${EXP:-demo} python=${VENV:-$home/.venv}/bin/python told folder
    [[ -x $python ]] || fail "there is no $python; \`make setup\` makes it, or set VENV"
    gpus=${GPUS:-1}
    [[ $gpus =~ ^[0-9]+$ ]] || fail "GPUS is a number; found: $gpus"
    told=$(cd "$home" && "$python" -m projection resolve "$experiment" --field=folder "$@" 2>&1) ||
        fail "$(tail -n 3 <<<"$told")"
    folder=$(tail -n 1 <<<"$told")
    run=${RUN:-$(tr -cs 'a-z0-9\n' - <<<"${experiment,,}" | cut -c 1-40)-$(date +%Y%m%d-%H%M%S)}
    [[ $run =~ ^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$ ]] || fail "RUN is a name of small letters, digits and -; found: $run"
    set -- fit --config "$experiment" "$@" --trainer.default_root_dir "$folder/$run" --ckpt_path last
    if ((gpus)); then
        set -- "$@" --trainer.accelerator gpu --trainer.devices "$gpus"
    else
        set -- "$@" --trainer.accelerator cpu
    fi
    listed=$("$python" -c 'import json, sys; print(json.dumps(sys.argv[1:]))' "$@")
    typed=${*@Q}
}
