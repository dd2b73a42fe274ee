from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gpus import driver
from tests.execution.placed import end_all_of


@pytest.fixture
def engine(home: Path) -> Iterator[Path]:
    """A home whose supervisors and jobs are killed after the test."""
    yield home
    end_all_of(home)


@pytest.fixture
def simulated_gpus(home: Path, settings: Any) -> Iterator[Path]:
    """Two devices; the file plays what happens on them."""
    settings.SIMULATED_GPUS = (2, 24576)
    driver._driver_of.cache_clear()
    yield home / "simulated_gpus.json"
    driver._driver_of.cache_clear()
