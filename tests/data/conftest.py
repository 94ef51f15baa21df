from pathlib import Path

import pytest

from projection.corpus.store import Store, open_store
from tests.data.files import rewrite


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
