# shellcheck shell=bash
# What is different at a site. It is sourced.

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
