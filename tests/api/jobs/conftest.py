import pytest
from django.test import Client

from tests.make import make_client, make_user


@pytest.fixture
def owner(db):
    return make_user("mei")


@pytest.fixture
def api(owner) -> Client:
    return make_client(owner)
