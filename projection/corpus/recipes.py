"""Data files that anybody can make, and the commands that do."""

import re

# as this project's configurations name them
_RECIPES = {
    r"data/demo_100hz\.h5": (
        "synthesize --output data/demo --records 2000 --overwrite true",
        "convert --source data/demo --output data/demo_100hz.h5",
    ),
    r"data/ptbxl_(\d+)hz\.h5": (
        r"download --output data/ptbxl --sampling_rates \1",
        r"convert --source data/ptbxl --output data/ptbxl_\1hz.h5 --sampling_rate \1 --source_version 1.0.3",
    ),
}


def recipe(path: str) -> list[str]:
    """List the commands that make a data file, one after the other; none where only its owner can."""
    found = ((match, commands) for name, commands in _RECIPES.items() if (match := re.fullmatch(name, path)))
    return [f"python -m projection {match.expand(each)}" for match, commands in found for each in commands]
