"""What was probably meant."""

from pathlib import Path

import pytest

from projection.errors import did_you_mean, file_did_you_mean


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("XResNet1D", "Did you mean XResNet1d?"),
        ("Normalize", "Did you mean Normalise?"),
        ("normalise", "Did you mean Normalise?"),
        ("Transformer", ""),
        ("", ""),
    ],
)
def test_a_near_word_is_named_and_no_other(word: str, told: str) -> None:
    assert did_you_mean(word, ["XResNet1d", "Normalise", "GaussianNoise"]) == told
    assert did_you_mean(word, []) == ""


def test_a_file_of_the_same_folder_and_kind_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    for name in ("ptbxl_100hz.h5", "ptbxl_100hz.txt", "other.h5"):
        Path("data", name).touch()
    assert file_did_you_mean(Path("data/ptbxl_100.h5")) == "Did you mean data/ptbxl_100hz.h5?"
    assert file_did_you_mean(Path("data/mine.h5")) == ""
    assert file_did_you_mean(Path("nowhere/ptbxl_100hz.h5")) == ""
