#!/usr/bin/env bash
# Prepares what the tests of launchers and containers run against, on a bare Debian machine: Slurm, podman and a
# registry from its packages, Apptainer, and a root file system for a base image below build/engines; and Chromium for
# the test of the report; and what reads what launchers write. Where something cannot be had, it says so and the tests
# that need it are skipped.
#
#   tests/engines/install.sh && PATH=$PWD/build/engines/bin:$PATH make test
set -euo pipefail

PACKAGES=(slurm-wlm munge podman buildah crun runc netavark aardvark-dns iptables slirp4netns squashfs-tools squashfuse
    fuse3 uidmap patchelf debootstrap docker-registry catatonit slurmdbd mariadb-server)

engines=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/build/engines

skip() {
    echo "engines: $*; tests that need it will be skipped" >&2
}

mirror() {
    sed -nE 's/^(URIs:|deb +(\[.*\] )?)\s*(\S+).*/\3/p' /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources} 2>/dev/null |
        grep -v security | head -n 1
}

install_packages() {
    dpkg --status "${PACKAGES[@]}" >/dev/null 2>&1 && return
    # the tests start their own daemons
    local policy=/usr/sbin/policy-rc.d
    if [[ ! -e $policy ]]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    fi
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${PACKAGES[@]}" >/dev/null
}

install_browser() {
    command -v chromium chromium-browser google-chrome >/dev/null && return
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null
}

# An apt of its own, for two packages of a newer Debian that this system does not get.
download_newer() {
    local work=$1
    mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
    local keys=/usr/share/keyrings/debian-archive-keyring.gpg
    printf "deb [signed-by=$keys] $(mirror) %s main\n" unstable trixie >"$work/sources.list"
    local options=(-o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=/dev/null
        -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache" -qq)
    apt-get "${options[@]}" update
    (cd "$work" && apt-get "${options[@]}" download apptainer && apt-get "${options[@]}" download libc6/trixie)
}

# Debian 12 has no Apptainer: the newer one runs with the C library that it was built for.
build_apptainer() {
    local target=$1 file libraries=$1/glibc/usr/lib/x86_64-linux-gnu system=/usr/lib/x86_64-linux-gnu:/lib/x86_64-linux-gnu
    download_newer "$target"
    dpkg-deb -x "$target"/apptainer*.deb "$target/files"
    dpkg-deb -x "$target"/libc6*.deb "$target/glibc"
    for file in bin/apptainer lib/x86_64-linux-gnu/apptainer/bin/starter; do
        patchelf --force-rpath --set-interpreter "$final/glibc/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2" \
            --set-rpath "${libraries/$target/$final}:$system" "$target/files/usr/$file"
    done
    arrange_apptainer "$target/files"
    rm -rf "$target"/*.deb "$target/lists" "$target/cache"
}

# The package expects to live in /usr, and root to have all capabilities.
arrange_apptainer() {
    ln -s ../etc "$1/usr/etc"
    ln -s apptainer "$1/usr/bin/singularity"
    mkdir -p "$1/usr/var/lib/apptainer/mnt/session" "$1/usr/lib/var/lib/apptainer/mnt/session" "$1/usr/lib/etc"
    ln -s ../../../etc/apptainer "$1/usr/lib/etc/apptainer"
    sed -i 's/^root default capabilities = .*/root default capabilities = no/' "$1/etc/apptainer/apptainer.conf"
}

install_apptainer() {
    final=$engines/apptainer
    if [[ ! -d $final/files ]]; then
        rm -rf "$final" "$final.partial"
        mkdir -p "$final.partial"
        # on a line of its own: behind it, `&&` would let its failures pass
        build_apptainer "$final.partial"
        mv "$final.partial" "$final"
    fi
    mkdir -p "$engines/bin"
    ln -sfn "$final/files/usr/bin/apptainer" "$engines/bin/apptainer"
    ln -sfn "$final/files/usr/bin/apptainer" "$engines/bin/singularity"
    "$engines/bin/apptainer" --version >/dev/null
}

make_root_file_system() {
    local root=$engines/rootfs.partial
    [[ -f $engines/rootfs.tar ]] && return
    rm -rf "$root"
    debootstrap --variant=minbase --include=python3,python3-venv,python3-pip,ca-certificates \
        "$(. /etc/os-release && echo "$VERSION_CODENAME")" "$root" "$(mirror)" >"$engines/debootstrap.log"
    # devices cannot be unpacked by everyone, and nobody reads manuals here
    rm -rf "${root:?}"/{dev,var/cache/apt,var/lib/apt/lists,usr/share/{doc,man,locale}}/*
    tar --directory="$root" --create --file="$root.tar" .
    mv "$root.tar" "$engines/rootfs.tar"
    rm -rf "$root"
}

# What reads what the launchers write: SageMaker's SDK, Kubernetes' and SkyPilot's schemas. An environment of its own,
# since what they need is not what projection needs.
install_readers() {
    [[ -x $engines/readers/bin/python ]] && return
    rm -rf "$engines/readers"
    python3 -m venv "$engines/readers.partial"
    "$engines/readers.partial/bin/python" -m pip install --quiet --disable-pip-version-check \
        'sagemaker<3' kubernetes-validate skypilot
    mv "$engines/readers.partial" "$engines/readers"
}

# Whose jobs run on the cluster of the tests, and who has podman without root.
add_account() {
    id researcher >/dev/null 2>&1 || useradd --create-home --shell /bin/bash researcher
}

# Building a .def as root without all capabilities takes identities to map to.
allow_fake_root() {
    local file
    for file in /etc/subuid /etc/subgid; do
        grep -qs '^root:' "$file" || echo root:100000:65536 >>"$file"
    done
}

# Runs steps at once, each in a shell of its own: `set -e` holds there, and one failure leaves the others alone.
at_once() {
    local step process
    local -A running=()
    for step in "$@"; do
        (
            set -e
            "$step"
        ) &
        running[$!]=$step
    done
    for process in "${!running[@]}"; do
        wait "$process" || skip "${running[$process]} failed"
    done
}

if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
    skip "installing engines needs root and apt-get"
    exit 0
fi
mkdir -p "$engines"
at_once install_packages install_readers
at_once install_browser install_apptainer allow_fake_root add_account make_root_file_system
