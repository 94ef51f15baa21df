#!/usr/bin/env bash
# Runs a command with the words of $ARGS behind it. They are split as a shell splits them, quotes and all,
# but nothing in them is ever expanded or executed.
#
#   ARGS="--trainer.max_epochs 5 --data.path 'my file.h5'" launchers/with_args.sh COMMAND [ARGUMENT ...]
set -euo pipefail

words=()
if [[ -n ${ARGS:-} ]]; then
    # the line ends, or xargs would lose an empty word there
    if ! printf '%s\n' "$ARGS" | xargs printf '' 2>/dev/null; then
        echo "ARGS has a quote without its other half: $ARGS" >&2
        exit 2
    fi
    while IFS= read -r -d '' word; do words+=("$word"); done < <(printf '%s\n' "$ARGS" | xargs printf '%s\0')
fi
unset ARGS
exec "$@" ${words[@]+"${words[@]}"}
