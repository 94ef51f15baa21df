"""What mutmut knows of its mutants: their names, whether the tests noticed them, and what each changes."""

import ast
import json
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE, STDOUT, Popen
from typing import Any

import yaml

from tests.conftest import ROOT

MUTANTS = ROOT / "mutants"
EQUIVALENT = Path(__file__).with_name("equivalent.yaml")
_PROGRESS = re.compile(r"\d+/\d+ .*")
SURVIVED = (0, 5, 33, 255)  # all tests passed, no test reaches the place, or they could not be run


@dataclass(frozen=True)
class Change:
    """What a mutant changes.

    Args:
        file: The source file.
        line: Where the change begins.
        was: The lines that stood there, without their indentation.
        becomes: What stands there instead.
    """

    file: str
    line: int
    was: str
    becomes: str


def mutmut(*words: str) -> str:
    """Call mutmut in the folder of the project, and show how far it is."""
    MUTANTS.mkdir(exist_ok=True)  # Python forgets about a search path that is not there when it starts
    # commands that a test starts see the mutant too, and fork as safely as the test's own process
    environment = {**os.environ, "PYTHONPATH": str(MUTANTS), "OMP_NUM_THREADS": "1"}
    command = [Path(sys.executable).with_name("mutmut"), *words]
    said: list[str] = []
    with Popen(command, cwd=ROOT, env=environment, text=True, stdout=PIPE, stderr=STDOUT) as child:
        for line in child.stdout or ():
            said.append(line)
            if found := _PROGRESS.search(line):
                print(f"\rmutants: {found[0]}", end="", file=sys.stderr, flush=True)
    if child.returncode:
        raise SystemExit(f"{''.join(said[-40:])}\nmutmut ended with status {child.returncode}: see above.")
    return "".join(said)


def outcomes() -> dict[str, tuple[str, int | None]]:
    """Give each mutant's source file, and with which status its tests ended; None where they have not run."""
    found = {}
    for meta in sorted(MUTANTS.glob("projection/**/*.meta")):
        file = str(meta.relative_to(MUTANTS).with_suffix(""))
        found |= {name: (file, code) for name, code in json.loads(meta.read_text())["exit_code_by_key"].items()}
    return found


def change_of(name: str, file: str) -> Change:
    """Describe a mutant."""
    lines = mutmut("show", name).splitlines()
    hunk = next(place for place, line in enumerate(lines) if line.startswith("@@"))
    within = int(re.findall(r"\d+", lines[hunk])[0])
    before = next(place for place, line in enumerate(lines[hunk + 1 :]) if line[:1] in "+-")
    was, becomes = ("\n".join(line[1:].strip() for line in lines[hunk + 1 :] if line.startswith(sign)) for sign in "-+")
    return Change(file, _first_line(name, file) + within - 1 + before, was, becomes)


def explained() -> dict[tuple[str, str, str], str]:
    """Read why some mutants change nothing that anybody could notice."""
    entries: list[dict[str, Any]] = yaml.safe_load(EQUIVALENT.read_text()) or []
    return {(entry["file"], entry["was"].strip(), entry["becomes"].strip()): entry["why"] for entry in entries}


def _first_line(name: str, file: str) -> int:
    """Find the function that a mutant belongs to: module.x_function__mutmut_1, or module.xǁClassǁmethod__mutmut_1."""
    function = name.rpartition(".")[2].partition("__mutmut_")[0]
    *owner, method = function.split("ǁ")[1:] if "ǁ" in function else [function.removeprefix("x_")]
    scope: Any = ast.parse((ROOT / file).read_text())
    for wanted in (*owner, method):
        named = (node for node in scope.body if isinstance(node, ast.ClassDef | ast.FunctionDef))
        scope = next(node for node in named if node.name == wanted)
    return int(scope.lineno)
