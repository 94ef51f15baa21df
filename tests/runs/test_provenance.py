"""Where a result comes from."""

import subprocess
from pathlib import Path

import pytest

from projection.runs import provenance as module_under_test
from projection.runs.provenance import GIT_COMMIT, provenance


def test_the_code_is_told_by_git_or_by_who_copied_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # as if the file that asks were in a repository of its own
    module = tmp_path / "projection" / "runs" / "provenance.py"
    module.parent.mkdir(parents=True)
    module.touch()
    monkeypatch.setattr(module_under_test, "__file__", str(module))
    monkeypatch.delenv(GIT_COMMIT, raising=False)

    def told() -> str | None:
        found: str | None = provenance({})["git"]
        return found

    def git(*words: str) -> str:
        command = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.strip()

    assert told() is None
    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "--message", "a")
    git("tag", "--annotate", "v9", "--message", "b")
    commit = git("rev-parse", "HEAD")
    assert told() == commit
    module.write_text("# changed\n")
    assert told() == f"{commit}-dirty"
    monkeypatch.setenv(GIT_COMMIT, "abc")
    assert told() == "abc"
