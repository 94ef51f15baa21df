#!/usr/bin/env bash
# The entry point of the SageMaker image: the platform runs it with the word `train`, and signals reach it directly.
set -euo pipefail
[[ ${1:-} != --help ]] || { sed -n '2,/^[^#]/{s/^# \{0,1\}//p}' "$0" && exit; }

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
exec "${PYTHON:-python3}" -m launchers.sagemaker.train
