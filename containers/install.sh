#!/usr/bin/env bash
# The steps of building an image, which Dockerfile and projection.def share. Runs inside the image.
#
#   install.sh dependencies   Python and the pinned packages of pyproject.toml, beside this script's parent folder
#   install.sh project        projection itself, from /opt/projection
set -euo pipefail

source=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# A CUDA image has no Python; a Python image has its own.
install_python() {
    if python3 -c 'import ensurepip' 2>/dev/null; then return; fi
    apt-get update
    apt-get install -y --no-install-recommends python3 python3-venv
    rm -rf /var/lib/apt/lists/*
}

# TORCH_VARIANT is a folder of PyTorch's own index, such as cpu or cu128; PyPI's wheel is the one for current GPUs.
install_dependencies() {
    install_python
    python3 -m venv /opt/venv
    python3 -c 'import sys, tomllib; print(*tomllib.load(sys.stdin.buffer)["project"]["dependencies"], sep="\n")' \
        <"$source/pyproject.toml" >/tmp/requirements.txt
    /opt/venv/bin/pip install --no-cache-dir --constraint "$source/constraints.txt" --requirement /tmp/requirements.txt \
        'setuptools>=77' ${TORCH_VARIANT:+--extra-index-url "https://download.pytorch.org/whl/$TORCH_VARIANT"}
    rm /tmp/requirements.txt
}

# Editable, because the shared defaults lie beside the package. Code bound to /workspace is found before it.
install_project() {
    /opt/venv/bin/pip install --no-cache-dir --no-deps --no-build-isolation --editable /opt/projection
    mkdir -p /workspace
    chmod 1777 /workspace
    cd /opt/projection
    /opt/venv/bin/python -m projection --help >/dev/null
    /opt/venv/bin/python -m projection fit --help >/dev/null
}

case ${1:-} in
dependencies | project) "install_$1" ;;
*)
    echo "usage: install.sh dependencies|project" >&2
    exit 2
    ;;
esac
