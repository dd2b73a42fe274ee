from collections.abc import Iterator

import pytest
from django.test import Client

from tests.make import make_client, make_sdk_run
from training.models import Run
from training.tracking.metrics import cache


@pytest.fixture(autouse=True)
def _nothing_cached() -> Iterator[None]:
    """Rows of one test may get the ids of another's."""
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def run() -> Run:
    return make_sdk_run(project="vision", name="baseline")


@pytest.fixture
def client() -> Client:
    """Of somebody else, who may read."""
    return make_client(scope="read")
