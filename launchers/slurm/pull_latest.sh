#!/usr/bin/env bash
# Fetches the Singularity image of a branch from a registry, and puts it in place of $CONTAINER all at once: a job
# that runs keeps the image it began with.
#
#   launchers/slurm/pull_latest.sh                                   # the image of the branch that is checked out
#   launchers/slurm/pull_latest.sh -r ghcr.io/my_lab -t v1.2
#   launchers/slurm/pull_latest.sh --code            # and brings the branch's code here (git pull, fast-forward only)
#
# -r --registry  where images are (default IMAGE_REGISTRY, also from site.env)
# -n --name      the image's name (default projection)
# -t --tag       the tag (default: latest for main, else the branch with - in place of other characters)
# -b --branch    another branch to take the tag from, and the code
# -c --code      fetch the code as well: the branch is checked out and moved forward; nothing of yours is overwritten
# CONTAINER      the file to write (default ~/projection_latest.sif)
set -euo pipefail
# shellcheck source=launchers/slurm/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

name=projection tag='' branch='' registry='' code=''

read_options() {
    while (($#)); do
        case $1 in
        -r) set -- --registry "${@:2}" ;;
        -n) set -- --name "${@:2}" ;;
        -t) set -- --tag "${@:2}" ;;
        -b) set -- --branch "${@:2}" ;;
        -c | --code) code=1 && shift ;;
        --registry | --name | --tag | --branch)
            (($# > 1)) || fail "$1 needs a value"
            printf -v "${1#--}" '%s' "$2"
            shift 2
            ;;
        *) fail "unknown option $1; --help lists them" ;;
        esac
    done
}

pull_code() {
    [[ -z $branch ]] || git -C "$home" switch "$branch" || fail "there is no branch $branch, or it would overwrite changes of yours"
    git -C "$home" pull --ff-only || fail "the code could not be brought forward; git tells why above"
}

tag_of_branch() {
    local current=${branch:-$(git -C "$home" branch --show-current 2>/dev/null)}
    case $current in
    '' | main | master) echo latest ;;
    *) tr -c 'A-Za-z0-9_.\n' - <<<"$current" ;;
    esac
}

answer_help "$@"
read_options "$@"
read_own_site
[[ -z $code ]] || pull_code
registry=${registry:-${IMAGE_REGISTRY:-}}
[[ -n $registry ]] || fail "--registry, or IMAGE_REGISTRY in site.env, says where images are, as in ghcr.io/my_lab"
engine=$(command -v apptainer || command -v singularity) || fail "there is neither apptainer nor singularity on this machine"
target=${CONTAINER:-$HOME/projection_latest.sif}
[[ $target != none ]] || fail "CONTAINER is none; set it to the file to write"
source=docker://$registry/$name:${tag:-$(tag_of_branch)}

# on the target's own disk, so that the rename replaces it in one step
partial=$(mktemp -d "$target.XXXXXX")
trap 'rm -rf "$partial"' EXIT
"$engine" pull "$partial/image.sif" "$source" || fail "$source could not be fetched; $target is as it was"
mv "$partial/image.sif" "$target"
echo "$target is now $source"
