"""Settings survive the way through SageMaker's strings."""

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from launchers.sagemaker.experiment import read_experiment
from launchers.sagemaker.hyperparameters import arguments, config_names, decode, encode, experiment_of
from projection.errors import ProjectionError
from projection.resolve import resolved
from tests.conftest import ROOT

# what looks like something else: to YAML, to JSON, to a shell or to a command line
TRICKY = [
    "1",
    "1e-3",
    "null",
    "true",
    "~",
    "",
    '"',
    '"1"',
    '"a',
    "[1]",
    "{}",
    "- a",
    "#x",
    "a: b",
    "0x10",
    "2024-01-01",
]
TRICKY += [
    "--config",
    "-x",
    "a=b",
    "$(touch x)",
    "`x`",
    "; x",
    "two words",
    "a\nb",
    "é ☃",
    "'",
    "\\",
    "*",
    "\u2028",
]
NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,6}", fullmatch=True).filter(lambda name: name not in ("config", "class_path"))
TEXTS = st.sampled_from(TRICKY) | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
NUMBERS = st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
LEAVES = st.none() | st.booleans() | NUMBERS | TEXTS
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=8
)
# such as a class with its arguments
NESTED = VALUES.map(json.dumps) | VALUES.map(lambda value: json.dumps(value, ensure_ascii=False))
DOTTED = st.lists(NAMES, min_size=1, max_size=3).map(".".join)


def through_sagemaker(settings: dict[str, str]) -> list[str]:
    """What the container's command line is: strings by name, in any order, read from a JSON file."""
    hyperparameters = json.loads(json.dumps(encode(settings)))
    assert all(text.isprintable() for text in hyperparameters.values())
    return arguments(dict(reversed(hyperparameters.items())))


@given(st.dictionaries(DOTTED, TEXTS | NESTED, max_size=4))
def test_settings_are_what_they_would_be_on_the_command_line(settings: dict[str, str]) -> None:
    # whatever an option makes of a text, it makes the same of it here: a number, null, a class, the text, or an error
    assert through_sagemaker(settings) == [f"--{name}={text}" for name, text in sorted(settings.items())]


@given(TEXTS)
def test_texts_of_the_python_sdk_lose_their_quotes(text: str) -> None:
    assert decode(json.dumps(text)) == text
    assert decode(encode({"a": text})["a"]) == text


def test_none_of_the_python_sdk_is_null() -> None:
    given = {"config": "tiny", "model.window": "None", "model.preprocess": "null", "trainer.max_epochs": "3"}
    model = resolved(["--config", str(ROOT / "configs" / "demo.yaml"), *arguments(given)])["model"]["init_args"]
    assert model["window"] is None
    assert model["preprocess"] is None
    assert encode({"a": "None"}) == {"a": '"None"'}, "which stays a text"


def test_a_class_keeps_its_arguments_and_a_part_of_it_can_be_changed() -> None:
    net = {"class_path": "projection.nets.CNN1d", "init_args": {"widths": [4, 8]}}
    encoded = encode({"model.net": json.dumps(net), "trainer.max_epochs": "5"})
    assert encoded == {"model.net": json.dumps(net), "trainer.max_epochs": "5"}
    words = arguments({"model.net.init_args.dropout": "0.1", **encoded})
    assert words.index(f"--model.net={json.dumps(net)}") < words.index("--model.net.init_args.dropout=0.1")


@pytest.mark.parametrize("name", ["x;touch pwned", "a=b", "-x", "--trainer.max_epochs", "", "a b", "$(x)", "a..b"])
def test_a_name_that_is_no_setting_is_refused(name: str) -> None:
    with pytest.raises(ProjectionError, match="is no setting"):
        arguments({name: "1"})


def test_a_text_that_no_command_line_can_hold_is_refused() -> None:
    with pytest.raises(ProjectionError, match="NUL"):
        arguments(encode({"run": "a\0b"}))


def test_names_of_other_clients_are_passed_over() -> None:
    others = {"sagemaker_program": '"train.py"', "_tuning_objective_metric": "val/auroc", "config": "exp"}
    assert arguments({**others, "seed_everything": "1"}) == ["--seed_everything=1"]


@pytest.mark.parametrize(
    ("text", "names"), [("exp", ["exp"]), ('"exp"', ["exp"]), ('["exp", "presets/ema"]', ["exp", "presets/ema"])]
)
def test_one_or_several_configurations_are_named(text: str, names: list[str]) -> None:
    assert config_names({"config": text}) == names


@pytest.mark.parametrize(
    ("text", "experiment"),
    [
        *(("exp", "exp"), ("exp.yaml", "exp"), ("benchmark/all+nets/s4", "benchmark/all+nets/s4"), ("[]", "sagemaker")),
        *(('["exp", "presets/ema"]', "exp"), ('["benchmark/all", "nets/s4"]', "benchmark/all+nets/s4")),
        *(("../../outside", "outside"), ("/etc/passwd", "passwd")),
    ],
)
def test_the_experiment_of_any_job_is_a_folder_below_runs(text: str, experiment: str) -> None:
    assert experiment_of({"config": text}) == experiment
    assert experiment_of({}) == "sagemaker"


def test_stacked_experiments_are_resolved_together(few_records: Path) -> None:
    found = read_experiment("benchmark/rhythm+nets/s4", ["--data.path", str(few_records)])
    resolved = yaml.safe_load(found.config)
    assert found.name == "benchmark/rhythm+nets/s4"
    assert resolved["data"]["init_args"]["labels"] == "rhythm"
    assert resolved["model"]["init_args"]["net"]["class_path"] == "projection.nets.S4"
    assert resolved["model"]["init_args"]["schedule"] is None
    # a local file's name would say nothing there
    assert found.hyperparameters == {"config": "benchmark/rhythm+nets/s4"}
    assert found.data == (few_records,)
    with pytest.raises(
        ProjectionError, match=r"no configs/nets/none\.yaml; there are nets/convnext1d .* nets/xresnet1d50"
    ):
        read_experiment("demo+nets/none", [])
