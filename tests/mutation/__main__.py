"""Draw mutants, run the tests that reach them, and list what nobody noticed."""

import random
from collections import Counter
from pathlib import PurePath

from jsonargparse import auto_cli

from tests.mutation.survivors import SURVIVED, change_of, explained, mutmut, outcomes

# mutmut makes all mutants before it runs one
ONE = "projection.metrics.ranking.x_auroc__mutmut_1"


def mutate(sample: int = 400, seed: int = 0, processes: int = 2, again: bool = False, area: str = "") -> None:
    """Break the code in small ways, one at a time, and list what no test notices.

    A call that was interrupted goes on where it was; mutants of functions that have changed since are tried again.

    Args:
        sample: How many mutants to draw (1 or more).
        seed: Of the drawing.
        processes: How many mutants are tried at once.
        again: Try those again that survived an earlier call, once there are more tests.
        area: Draw from this part of the package alone, such as metrics or runs.
    """
    mutmut("run", "--max-children", "1", ONE)
    known = {name: (file, code) for name, (file, code) in outcomes().items() if area in ("", _area(file))}
    drawn = sorted(random.Random(seed).sample(sorted(known), min(sample, len(known))))
    unknown = (None, *SURVIVED) if again else (None,)
    if todo := [name for name in drawn if known[name][1] in unknown]:
        mutmut("run", "--max-children", str(processes), *todo)
    print(report(drawn))


def report(drawn: list[str]) -> str:
    """Count what was noticed in each area, then list the survivors."""
    results, reasons = outcomes(), explained()
    survivors = [change_of(name, results[name][0]) for name in drawn if results[name][1] in SURVIVED]
    why = {change: reasons.get((change.file, change.was, change.becomes)) for change in survivors}
    missed, equal = ([change for change in survivors if bool(why[change]) == known] for known in (False, True))
    tried = Counter(_area(results[name][0]) for name in drawn)
    left, same = (Counter(_area(change.file) for change in part) for part in (missed, equal))
    lines = ["| area | mutants | equivalent | noticed | of the others |", "|---|---:|---:|---:|---:|"]
    for area, count in [*sorted(tried.items()), ("all", sum(tried.values()))]:
        without, of = (sum(part.values()) if area == "all" else part[area] for part in (same, left))
        noticed = count - without - of
        lines.append(f"| {area} | {count} | {without} | {noticed} | {noticed / max(1, count - without):.1%} |")
    for title, part in (("Nobody noticed", missed), ("Equivalent", equal)):
        lines += ["", f"{title}: {len(part)}"]
        for change in sorted(part, key=lambda change: (change.file, change.line)):
            lines += [f"  {change.file}:{change.line}", *_shown("-", change.was), *_shown("+", change.becomes)]
            lines += [f"      because {reason}"] if (reason := why[change]) else []
    return "\n".join(lines)


def _area(file: str) -> str:
    return PurePath(file).parts[1]


def _shown(sign: str, text: str) -> list[str]:
    return [f"    {sign} {line}" for line in text.splitlines()]


if __name__ == "__main__":
    auto_cli(mutate)
