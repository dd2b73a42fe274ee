"""Artifacts and what they are made of in the Django admin."""

import pytest
from django.test import Client

from registry.models import ArtifactFile, DatasetFacts
from tests.make import make_run, make_user, make_version
from training.models import RunArtifact, Usage

pytestmark = pytest.mark.django_db
NAME = "n" * 92 + "the-end!"


@pytest.fixture
def browser(client: Client) -> Client:
    client.force_login(make_user("root", is_admin=True))
    return client


@pytest.mark.parametrize(
    ("path", "end"),
    [
        ("registry/artifact/", "the-end!"),
        ("registry/artifactversion/", "the-end!"),
        ("registry/artifactfile/", "-end!:v1"),
        ("registry/datasetfacts/", "-end!:v1"),
        ("training/runartifact/", "-end!:v1"),
    ],
)
def test_its_lists_shorten_long_names_and_show_them_whole_at_the_pointer(path: str, end: str, browser: Client) -> None:
    version = make_version(NAME)
    ArtifactFile.objects.update(path=NAME, link_name=NAME)
    DatasetFacts.objects.get_or_create(version=version, defaults={"format": "csv", "sample_count": 1})
    RunArtifact.objects.create(run=make_run(), version=version, usage=Usage.USED)
    page = browser.get(f"/admin/{path}").content.decode()
    assert f">{'n' * 19}…{end}</span>" in page
    assert f"<td>{NAME}" not in page and f'title="{NAME}' in page
    assert all(browser.get(f"/admin/{path}", {"o": column}).status_code == 200 for column in range(1, 6))
