from pathlib import Path

import pytest

from projection.data.synthetic import synthesize
from tests.data.raw import Raw, read_raw


@pytest.fixture(scope="session")
def raw(corpus: Path) -> Raw:
    """The synthetic corpus as its files say."""
    return read_raw(corpus)


@pytest.fixture(scope="session")
def both_rates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus at 100 and 500 Hz."""
    folder = tmp_path_factory.mktemp("rates") / "corpus"
    synthesize(folder, records=60, seed=3, sampling_rates=[100, 500], workers=1)
    return folder
