#!/usr/bin/env bash
# Packs the code into FILE.tar.gz, equal bytes for equal code: the working tree without what git ignores,
# or one commit of it.
#
#   launchers/snapshot.sh FILE.tar.gz [COMMIT]
set -euo pipefail

# shellcheck source=launchers/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
who=snapshot
answer_help "$@"
LARGEST_MB=200

# Tracked and new files of the working tree, or without git the folders that code lives in; NUL-separated.
list_files() {
    if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
        git ls-files -z --cached --others --exclude-standard
    else
        find projection configs launchers containers Makefile pyproject.toml constraints.txt README.md LICENSE \
            -type f -not -name '*.pyc' -not -name site.env -print0
    fi
}

# A tracked file may have been deleted without telling git.
existing() {
    local file
    while IFS= read -r -d '' file; do
        if [[ -e $file ]]; then printf '%s\0' "$file"; fi
    done
}

# GNU tar leaves out when and by whom; that of macOS cannot.
pack() {
    local plain=()
    if tar --version | grep -q GNU; then plain=(--mtime=@0 --owner=0 --group=0 --numeric-owner --mode=go-w); fi
    list_files | existing | LC_ALL=C sort -z | tar -c -f - --no-recursion ${plain[@]+"${plain[@]}"} --null -T -
}

pack_working_tree() {
    local megabytes
    megabytes=$(($(pack | wc -c) / 1000000))
    if ((megabytes > LARGEST_MB)); then
        fail "the working tree holds $megabytes MB that git does not ignore; move data elsewhere (data/ is ignored)," \
            "or name them in .gitignore"
    fi
    pack
}

target=${1:?usage: launchers/snapshot.sh FILE.tar.gz [COMMIT]}
commit=${2:-}
[[ $target == /* ]] || target=$PWD/$target
cd "$(dirname "${BASH_SOURCE[0]}")/.."

partial=$target.$$.partial
trap 'rm -f "$partial"' EXIT
if [[ -z $commit ]]; then
    pack_working_tree | gzip --no-name >"$partial"
else
    git rev-parse --verify --quiet "$commit^{commit}" >/dev/null || fail "git knows no commit $commit"
    git archive --format=tar "$commit" | gzip --no-name >"$partial"
fi
mv "$partial" "$target"
