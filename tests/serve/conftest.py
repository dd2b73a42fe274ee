from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving import RunningServer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    """Not started yet; everything of its home is killed afterwards."""
    with RunningServer(tmp_path / "home") as made:
        yield made
