from typing import Any

import pytest

from tests.make import make_node, make_run
from training.models import Run
from training.tracking.metrics import cache


@pytest.fixture(autouse=True)
def _nothing_cached() -> None:
    cache.clear()


@pytest.fixture
def run(db: None, home: Any) -> Run:
    run = make_run(node=make_node())
    run.directory.mkdir(parents=True)
    return run
