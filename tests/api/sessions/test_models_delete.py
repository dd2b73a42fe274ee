"""DELETE /api/v1/models/{model_name} (T16)."""

import pytest
from django.test import Client

from registry.models import ArtifactVersion
from registry.publish import delete_versions
from tests.make import make_client, make_dataset, make_session, make_task, make_user
from tests.registry.contents import published

pytestmark = pytest.mark.django_db
PATH = "/api/v1/models/net"


@pytest.fixture
def owner(store):
    return make_user()


def delete(user, path=PATH):
    return make_client(user).delete(path)


def test_it_deletes_all_versions_and_the_files_of_their_names(owner, store, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        published("net", b"1", owner=owner)
        published("net", b"2", owner=owner, must_be_new=False)
    assert len(list((store / "models").iterdir())) == 2

    with django_capture_on_commit_callbacks(execute=True):
        answer = delete(owner)

    assert (answer.status_code, answer.json()) == (200, {"message": "model 'net' is deleted"})
    assert list((store / "models").iterdir()) == []
    assert make_client().get(PATH).status_code == 404
    assert make_client().get("/api/v1/models").json() == []
    assert ArtifactVersion.objects.filter(status="deleted").count() == 2


def test_an_administrator_deletes_what_is_not_his(owner):
    published("net", owner=owner)
    assert delete(make_user(is_admin=True)).status_code == 403  # with a key of scope submit
    assert make_client(scope="admin").delete(PATH).status_code == 200


@pytest.mark.parametrize(("has_owner", "whose"), [(True, "eva"), (False, "nobody")])
def test_returns_403_when_it_belongs_to_somebody_else(store, has_owner, whose):
    published("net", owner=make_user("eva") if has_owner else None)
    answer = delete(make_user())
    said = f"version 1 of model 'net' belongs to {whose}: only an administrator can delete it"
    assert (answer.status_code, answer.json()["detail"]) == (403, said)
    assert ArtifactVersion.objects.ready().count() == 1


@pytest.mark.parametrize("is_first", [True, False])
def test_returns_403_when_one_of_the_versions_is_somebody_elses(store, is_first):
    eva, tom = make_user("eva"), make_user("tom")
    for number, owner in enumerate((eva, tom, eva), 1):
        published("net", bytes([number]), owner=owner, must_be_new=number == 1)
    answer = delete(eva if is_first else tom)
    said = "version 2 of model 'net' belongs to tom" if is_first else "version 3 of model 'net' belongs to eva"
    assert (answer.status_code, answer.json()["detail"].partition(":")[0]) == (403, said)
    assert ArtifactVersion.objects.ready().count() == 3
    assert make_client(scope="admin").delete(PATH).status_code == 200


def test_a_deleted_version_of_somebody_else_is_not_in_the_way(owner):
    delete_versions(published("net", owner=make_user()).artifact)
    published("net", owner=owner)
    assert delete(owner).status_code == 200


@pytest.mark.parametrize("name", ["other", "..", "-x", "x" * 300])
def test_returns_404_when_there_is_no_such_model(owner, name):
    assert delete(owner, f"/api/v1/models/{name}").status_code == 404


def test_returns_404_the_second_time(owner):
    published("net", owner=owner)
    assert [delete(owner).status_code for _ in range(2)] == [200, 404]


@pytest.mark.parametrize(("status", "code"), [("active", 409), ("waiting", 200), ("completed", 200)])
def test_returns_409_while_a_running_session_makes_its_next_version(owner, status, code):
    published("mlp_digits", owner=owner)
    session = make_session(
        task=make_task(status=status, is_session=True, name="mlp_digits"), dataset_version=make_dataset("digits")
    )
    answer = delete(owner, "/api/v1/models/mlp_digits")
    assert answer.status_code == code
    if code == 409:
        assert session.pk in answer.json()["detail"]
        assert make_client().head("/api/v1/models/mlp_digits").status_code == 200


def test_a_running_session_of_another_model_is_not_in_the_way(owner):
    published("net", owner=owner)
    make_session(task=make_task(status="active", is_session=True))
    assert delete(owner).status_code == 200


def test_returns_401_without_a_key_and_403_with_one_that_only_reads(owner):
    published("net", owner=owner)
    assert Client().delete(PATH).status_code == 401
    assert make_client(owner, scope="read").delete(PATH).status_code == 403
