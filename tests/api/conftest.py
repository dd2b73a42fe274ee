from collections.abc import Iterator

import pytest

from mlserver.accounts.keys import failed_keys


@pytest.fixture(autouse=True)
def _no_failures_left_over() -> Iterator[None]:
    """Wrong keys of one test must not make the next one wait."""
    failed_keys.clear()
    yield
    failed_keys.clear()
