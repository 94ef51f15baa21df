#!/usr/bin/env bash
# Builds the image with docker or podman, or with --singularity the .sif with apptainer or singularity.
#
#   containers/build.sh [--name projection] [--tag latest] [--file DOCKERFILE] [--base IMAGE] [--torch cpu|cu128|...]
#                       [--registry REGISTRY [--push]] [--singularity [--bootstrap docker]] [--dry-run]
#                       [-- OPTIONS OF THE BUILDER ...]
#
# ENGINE chooses docker or podman; CONTAINER is the .sif to write (default ~/projection_latest.sif).
# PLATFORM is another platform to build for, such as linux/amd64.
# The image holds the working tree without what git ignores, and names its commit as its revision. What is installed in
# it stands in build/NAME_TAG.packages.txt, or beside the .sif.
set -euo pipefail

home=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
file=containers/Dockerfile name=projection tag=latest base='' torch='' registry='' bootstrap='' push='' singularity='' dry_run='' options=()

# shellcheck source=launchers/lib.sh
source "$home/launchers/lib.sh"
who=build

read_options() {
    while (($#)); do
        case $1 in
        --file | --name | --tag | --base | --torch | --registry | --bootstrap)
            (($# > 1)) || fail "$1 needs a value"
            printf -v "${1#--}" '%s' "$2"
            shift
            ;;
        --push) push=1 ;;
        --singularity) singularity=1 ;;
        --help) answer_help --help ;;
        --dry-run) dry_run=1 ;;
        --)
            shift
            options=("$@")
            return
            ;;
        *) fail "unknown option $1; --help lists them" ;;
        esac
        shift
    done
}

do_it() {
    if [[ -n $dry_run ]]; then
        printf '%q ' "$@" && echo
    else
        "$@"
    fi
}

find_engine() {
    local engine
    for engine in "$@"; do
        command -v "$engine" && return
    done
    [[ -n $dry_run ]] && echo "$1" && return
    fail "there is neither of these on this machine: $*"
}

build_image() {
    local engine reference=${registry:+$registry/}$name:$tag
    engine=${ENGINE:-$(find_engine docker podman)}
    # podman makes another format by itself, which not every platform takes
    [[ $engine != *podman ]] || options=(--format docker ${options[@]+"${options[@]}"})
    do_it "$engine" build ${PLATFORM:+--platform "$PLATFORM"} --file "$file" --tag "$reference" ${base:+--build-arg "BASE=$base"} \
        ${torch:+--build-arg "TORCH_VARIANT=$torch"} --build-arg "REVISION=$revision" ${options[@]+"${options[@]}"} .
    if [[ -z $dry_run ]]; then lay_packages_of_image "$engine" "$reference"; fi
    if [[ -n $push ]]; then push_image "$engine" "$reference"; fi
}

# Nothing runs: the image may be for another platform.
lay_packages_of_image() {
    local container list=$home/build/${name//\//-}_$tag.packages.txt
    mkdir -p "$home/build"
    container=$("$1" create "$2")
    "$1" cp "$container:/opt/packages.txt" "$list"
    "$1" rm "$container" >/dev/null
    echo "What is in it: $list"
}

# Docker says the digest by itself.
push_image() {
    if [[ $1 == *podman && -z $dry_run ]]; then
        "$1" push --digestfile "$context/digest" "$2"
        echo "digest: $(cat "$context/digest")"
    else
        do_it "$1" push "$2"
    fi
}

build_sif() {
    local engine
    engine=$(find_engine apptainer singularity)
    # beside the target and renamed: a running job keeps the image that it began with
    [[ -n $dry_run ]] || trap 'rm -rf "$context" "$target.partial"' EXIT
    do_it "$engine" build --force ${bootstrap:+--build-arg "BOOTSTRAP=$bootstrap"} ${base:+--build-arg "BASE=$base"} \
        ${torch:+--build-arg "TORCH_VARIANT=$torch"} --build-arg "REVISION=$revision" ${options[@]+"${options[@]}"} \
        "$target.partial" containers/projection.def
    if [[ -z $dry_run ]]; then
        "$engine" exec "$target.partial" cat /opt/packages.txt >"${target%.sif}.packages.txt"
        echo "What is in it: ${target%.sif}.packages.txt"
    fi
    do_it mv "$target.partial" "$target"
    if [[ -n $push ]]; then do_it "$engine" push "$target" "oras://$registry/$name:$tag"; fi
}

read_options "$@"
target=${CONTAINER:-$HOME/${name}_$tag.sif}
[[ -z $push || -n $registry ]] || fail "--push needs --registry, where to push to"
revision=$(git -C "$home" describe --always --dirty --abbrev=40 --exclude='*' 2>/dev/null || echo unknown)
if [[ -z $dry_run ]]; then
    # a copy without data, runs, secrets: what git ignores gets into no image
    context=$(mktemp -d)
    trap 'rm -rf "$context"' EXIT
    "$home/launchers/snapshot.sh" "$context/code.tar.gz"
    tar --extract --gzip --file="$context/code.tar.gz" --directory="$context"
    rm "$context/code.tar.gz"
    cd "$context"
fi
if [[ -n $singularity ]]; then build_sif; else build_image; fi
