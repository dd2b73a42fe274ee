"""Search for runs: with an index or without, it finds what a plain look at each run finds."""

from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from tests.make import make_sdk_run, make_user
from training import search_index
from training.models import Run, mentions

pytestmark = pytest.mark.django_db
TEXTS = (
    "ResNet-50 baseline", "100% sure", "under_score", "under score", 'say "cheese"', "it's", "back\\slash",
    "ÄÖÜ straße", "МОСКВА", "ΣΊΣΥΦΟΣ", "日本語の実験", "emoji 🚀 launch", "a*b [c] ^d$", "tab\tand\nline", "NEAR(a b)",
    "aaa", "'; DROP",
)  # fmt: skip
NEEDLES = (
    "resnet", "NET-50", "100%", "0% s", "%", "_", "r_s", "under_s", '"', '"cheese"', 'y "c', "'", "it's", "\\", "k\\s",
    "äöü", "Straße", "москва", "скв", "σίσυφος", "日本語", "の実", "実", "🚀", "i 🚀 l", "a*b", "[c]", "^d$", "b\tand",
    "d\nl", "near(a", "aaa", "aaaa", "'; d", "OR", "AND", "*", "**", "nothing at all", "vision", "VIS", "2026", "-50 b",
)  # fmt: skip


def plainly(needle: str) -> set[str]:
    """Of one column at a time, letter by letter."""
    wanted = needle.upper()
    runs = Run.objects.values_list("pk", "project", "name", "notes")
    return {run_id for run_id, *texts in runs if any(wanted in text.upper() for text in [run_id, *texts])}


def found(needle: str) -> set[str]:
    return set(Run.objects.mentioning(needle).values_list("pk", flat=True))


@pytest.fixture
def runs() -> None:
    owner = make_user()
    for n, text in enumerate(TEXTS):
        make_sdk_run(owner, **{("notes", "name", "project")[n % 3]: text})
    make_sdk_run(owner, project="vision", name="x", notes="")


@pytest.mark.database
def test_it_finds_what_a_plain_look_finds(runs):
    for needle in NEEDLES:
        assert found(needle) == plainly(needle), needle


def test_without_an_index_it_finds_the_same(runs, monkeypatch):
    monkeypatch.setattr(mentions, "has_index", lambda using: False)
    for needle in NEEDLES:
        assert found(needle) == plainly(needle), needle


@pytest.mark.database
def test_it_follows_changes_and_deletions():
    run, other = make_sdk_run(name="first name"), make_sdk_run(name="another")
    assert found("first") == {run.pk}
    Run.objects.filter(pk=run.pk).update(name="second name")
    assert (found("first"), found("second")) == (set(), {run.pk})
    Run.objects.filter(pk=run.pk).update(status="finished")
    assert found("second") == {run.pk}
    run.delete()
    assert (found("second"), found("another")) == (set(), {other.pk})


@pytest.mark.database
def test_it_finds_many_in_bulk():
    owner = make_user()
    Run.objects.bulk_create([Run(owner=owner, name=f"number {n:03}") for n in range(300)])
    assert len(found("number 1")) == 100


sqlite_only = pytest.mark.skipif("connection.vendor != 'sqlite'", reason="its index is SQLite's own")


def names_of(kind: str) -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM sqlite_master WHERE type = %s AND name LIKE 'training_run_search%%'", [kind])
        return {name for (name,) in cursor.fetchall()}


@sqlite_only
def test_all_migrations_leave_an_index_that_is_kept():
    assert names_of("trigger") == set(search_index.TRIGGERS)
    assert mentions.has_index("default")
    assert not search_index.install(), "it is there"


@sqlite_only
def test_after_a_migration_that_dropped_its_triggers_it_is_filled_again(runs):
    with connection.cursor() as cursor:
        for name in search_index.TRIGGERS:
            cursor.execute(f"DROP TRIGGER {name}")
    late = make_sdk_run(name="meanwhile")
    Run.objects.filter(notes=TEXTS[0]).delete()
    assert found("meanwhile") == set()
    call_command("migrate", verbosity=0)
    assert found("meanwhile") == {late.pk}
    assert found("resnet") == set()


@sqlite_only
def test_the_index_is_used(runs, django_assert_num_queries: Any):
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {mentions.INDEX}")
    assert found("resnet") == set()
    assert len(found("re")) > 0, "shorter texts have no trigram, so all runs are read"
