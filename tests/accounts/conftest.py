from collections.abc import Iterator

import pytest
from django.test import Client

from mlserver.accounts.keys import failed_keys
from mlserver.accounts.login import failed_logins


@pytest.fixture(autouse=True)
def _no_failures_left_over() -> Iterator[None]:
    for failures in (failed_keys, failed_logins):
        failures.clear()
    yield
    for failures in (failed_keys, failed_logins):
        failures.clear()


@pytest.fixture
def client() -> Client:
    """As strict as a browser, and showing a 500 as a client sees it."""
    return Client(enforce_csrf_checks=True, raise_request_exception=False)
