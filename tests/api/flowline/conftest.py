import pytest
from django.test import Client

from tests.make import make_client, make_gpu, make_node, make_user
from training.models import Task


@pytest.fixture
def owner():
    return make_user("mei")


@pytest.fixture
def api(db, owner) -> Client:
    return make_client(owner)


@pytest.fixture
def gpu(db):
    from gpus.inventory import node_name

    return make_gpu(make_node(node_name()))


def newest_task() -> Task:
    return Task.objects.latest("pk")
