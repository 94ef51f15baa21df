#!/usr/bin/env bash
# The steps of building an image, which Dockerfile and projection.def share. Runs inside the image.
#
#   install.sh dependencies   Python and the pinned packages of pyproject.toml, beside this script's parent folder
#   install.sh additions      the same packages into the image's own Python, whose PyTorch stays as it is
#   install.sh project        projection itself, from /opt/projection; PYTHON names another Python than /opt/venv's
set -euo pipefail
[[ ${1:-} != --help ]] || { sed -n '2,/^[^#]/{s/^# \{0,1\}//p}' "$0" && exit; }

source=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# A CUDA image has no Python; a Python image has its own.
install_python() {
    if python3 -c 'import ensurepip' 2>/dev/null; then return; fi
    apt-get update
    apt-get install -y --no-install-recommends python3 python3-venv
    rm -rf /var/lib/apt/lists/*
}

list_requirements() {
    python3 -c 'import sys, tomllib; print(*tomllib.load(sys.stdin.buffer)["project"]["dependencies"], sep="\n")' \
        <"$source/pyproject.toml" >/tmp/requirements.txt
}

# TORCH_VARIANT is a folder of PyTorch's own index, such as cpu or cu128; PyPI's wheel is the one for current GPUs.
install_dependencies() {
    install_python
    python3 -m venv /opt/venv
    list_requirements
    /opt/venv/bin/pip install --no-cache-dir --constraint "$source/constraints.txt" --requirement /tmp/requirements.txt \
        'hatchling>=1.27' ${TORCH_VARIANT:+--extra-index-url "https://download.pytorch.org/whl/$TORCH_VARIANT"}
    rm /tmp/requirements.txt
}

# AWS built its PyTorch for its own CUDA and network: whatever else is installed has to get along with it.
install_additions() {
    local torch
    torch=$(python3 -c 'import torch; print(torch.__version__)')
    list_requirements
    { sed '/^torch==/d' "$source/constraints.txt" && echo "torch===$torch"; } >/tmp/constraints.txt
    python3 -m pip install --no-cache-dir --constraint /tmp/constraints.txt --requirement /tmp/requirements.txt 'hatchling>=1.27'
    rm /tmp/requirements.txt /tmp/constraints.txt
    [[ $(python3 -c 'import torch; print(torch.__version__)') == "$torch" ]]
}

# Code bound to /workspace is found before it.
install_project() {
    local python=${PYTHON:-/opt/venv/bin/python}
    "$python" -m pip install --no-cache-dir --no-deps --no-build-isolation /opt/projection
    mkdir -p /workspace
    chmod 1777 /workspace
    cd /opt/projection
    "$python" -m projection --help >/dev/null
    "$python" -m projection fit --help >/dev/null
    list_packages "$python" >/opt/packages.txt
}

# What is in the image, a line a package, for whoever has to know; build.sh lays it beside the image.
list_packages() {
    "$1" -m pip list --disable-pip-version-check --format=freeze
    dpkg-query --show --showformat='${Package}=${Version}\n' 2>/dev/null || true
}

case ${1:-} in
dependencies | additions | project) "install_$1" ;;
*)
    echo "usage: install.sh dependencies|additions|project" >&2
    exit 2
    ;;
esac
