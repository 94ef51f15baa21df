from collections.abc import Iterator

import pytest

from tests.corpus.site import Site, served


@pytest.fixture
def site() -> Iterator[Site]:
    """A web server with PTB-XL's layout, for one test."""
    with served() as running:
        yield running
