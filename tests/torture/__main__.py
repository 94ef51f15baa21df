"""`make torture`: the shipped configurations as they are, killed a hundred times."""

import random
import sys
import tempfile
from pathlib import Path

from jsonargparse import auto_cli

from projection.corpus.convert import convert
from projection.synthetic import synthesize
from tests.torture.cases import cases
from tests.torture.killing import torture


def main(kills: int = 100, seed: int = 0, only: str = "") -> None:
    """Kill trainings at random moments by SIGKILL, SIGTERM, SIGINT and SIGHUP, and compare how they end.

    Args:
        kills: How often, over all configurations (1 or more).
        seed: Of the moments and signals.
        only: The one configuration to torture.
    """
    chance = random.Random(seed)
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="torture-") as name:
        folder = Path(name)
        synthesize(folder / "corpus", records=160, workers=1)
        convert(folder / "corpus", folder / "corpus_100hz.h5", workers=1)
        chosen = {key: case for key, case in cases(folder / "corpus_100hz.h5").items() if only in ("", key)}
        print("| configuration | kills | signals | trainings | differences |\n|---|---:|---|---:|---|", flush=True)
        for key, case in chosen.items():
            (folder / key).mkdir()
            done, trainings, found = torture(case, folder / key, -(-kills // len(chosen)), chance)
            signals = ", ".join(f"{count} {signal}" for signal, count in sorted(case.kills.items()))
            print(f"| {key} | {done} | {signals} | {trainings} | {'; '.join(found) or 'none'} |", flush=True)
            wrong += len(found)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
