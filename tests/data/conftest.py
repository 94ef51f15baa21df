from collections.abc import Iterator
from pathlib import Path

import pytest

from projection.data.store import Store, open_store
from projection.data.synthetic import synthesize
from tests.data.files import rewrite
from tests.data.raw import Raw, read_raw
from tests.data.site import Site, served


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


@pytest.fixture(scope="session")
def files(corpus_file: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Store]:
    """The same records as one contiguous file, as a compressed one, and as two halves."""
    folder = tmp_path_factory.mktemp("files")
    compressed = folder / "compressed.h5"
    rewrite(corpus_file, compressed, slice(None), chunks=(3, 12, 250), compression="gzip")
    rewrite(corpus_file, folder / "first.h5", slice(0, 70))
    rewrite(corpus_file, folder / "second.h5", slice(70, 160), chunks=(1, 12, 1000))
    stores = {path.stem: open_store(path) for path in folder.iterdir()}
    return {"whole": open_store(corpus_file), **stores}


@pytest.fixture
def site() -> Iterator[Site]:
    """A web server with PTB-XL's layout, for one test."""
    with served() as running:
        yield running
