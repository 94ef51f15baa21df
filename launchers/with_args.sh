#!/usr/bin/env bash
# Runs a command with the words of $ARGS behind it. They are split as a shell splits them, quotes and all,
# but nothing in them is ever expanded or executed.
#
#   ARGS="--trainer.max_epochs 5 --data.path 'my file.h5'" launchers/with_args.sh COMMAND [ARGUMENT ...]
set -euo pipefail

# shellcheck source=launchers/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
who='make'
answer_help "$@"
split_words ARGS
read_switches DRY_RUN STAGE SPOT
unset ARGS
exec "$@" ${words[@]+"${words[@]}"}
