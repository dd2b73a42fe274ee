"""The routes that belong to no door: /, /health, /api/health, /docs, /redoc, /openapi.json."""

import re
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.test import Client
from django.utils import timezone

from tests.make import (
    make_epoch,
    make_gpu,
    make_lease,
    make_node,
    make_run,
    make_sdk_run,
    make_session,
    make_task,
    make_user,
)
from tests.metrics import log_columns
from training.tracking.metrics import cache, read_table

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
REMOTE = re.compile(r"(?:src|href|url)\s*[=(]\s*[\"']?(?:https?:)?//")


def test_it_is_healthy_without_the_database(client):
    """Without the mark of pytest-django a query fails the test."""
    answer = client.get("/health")
    assert answer.status_code == 200
    assert answer.json() == {"status": "healthy", "service": "Server Management API", "version": "1.0.0"}


def test_it_answers_the_health_of_the_tracking_door(client):
    cache.clear()
    before = time.time()
    said = client.get("/api/health").json()
    assert (said["status"], said["cache"]["type"], said["cache"]["hit_rate"]) == ("ok", "incremental", "0.0%")
    assert before <= said["timestamp"] <= time.time()
    assert set(said["cache"]) == {
        "enabled", "type", "hit_rate", "hits", "misses", "incremental_updates", "size", "max_size",
    }  # fmt: skip
    assert said["storage"].endswith("/runs")


def test_it_answers_the_word_for_health_that_an_old_client_wants(client, settings):
    settings.RUNICORN_HEALTH_STATUS = "healthy"
    assert client.get("/api/health").json()["status"] == "healthy"


@pytest.mark.django_db
def test_it_counts_how_the_metrics_cache_fares(client):
    cache.clear()
    run = make_sdk_run()
    log_columns(run, [1, 2], loss=[0.5, 0.25])
    for _ in range(3):
        read_table(run)
    log_columns(run, [3], loss=[0.125])
    read_table(run)
    assert client.get("/api/health").json()["cache"] == {
        "enabled": True, "type": "incremental", "hit_rate": "50.0%", "hits": 2, "misses": 1, "incremental_updates": 1,
        "size": 1, "max_size": 100,
    }  # fmt: skip


@pytest.mark.parametrize("accept", ["*/*", "application/json", ""])
def test_it_describes_itself_to_programs(accept, client):
    answer = client.get("/", headers={"Accept": accept})
    assert sorted(answer.json()) == ["description", "docs", "health", "name", "version"]
    assert "Accept" in answer["Vary"]


@pytest.mark.django_db
def test_it_shows_strangers_a_page_without_anything_of_the_users(client):
    make_run(make_task(name="secret project"))
    page = client.get("/", headers=HTML).content.decode()
    assert 'href="/docs"' in page
    assert 'href="/login?next=/"' in page
    assert "secret project" not in page


@pytest.mark.django_db
def test_it_shows_a_logged_in_user_what_is_going_on(client, django_assert_num_queries):
    make_task(name="patient", waiting_reason="needs 1 GPU, 0 of 1 free")
    run = make_run(name="busy", status="failed", exit_reason="exit code 3")
    make_lease(run, make_gpu(make_node("box"), used_memory_mib=1234))
    client.force_login(make_user())
    # session, user, counts, GPUs, waiting, held, trainings, active and newest runs
    with django_assert_num_queries(9):
        page = client.get("/", headers=HTML).content.decode()

    for said in (
        "patient",
        "needs 1 GPU, 0 of 1 free",
        run.pk,
        "exit code 3",
        "box GPU 0",
        "1234 of 24576 MiB",
        "in use",
    ):
        assert said in page


@pytest.mark.django_db
def test_it_shows_how_far_and_how_good_trainings_are(client, django_assert_num_queries):
    client.force_login(make_user())
    assert "Trainings" not in client.get("/", headers=HTML).content.decode()
    for _ in range(3):
        running = make_session(task=make_task(status="active"), epochs=7)
        make_epoch(running, 2, val_accuracy=0.87654)
    queued = make_session(loss_function="mse")
    make_epoch(queued, 1, val_accuracy=0.5)
    with django_assert_num_queries(9):
        page = client.get("/", headers=HTML).content.decode()
    shown = page[page.index("Trainings") :]
    assert shown.index(queued.pk) < shown.index("epoch 1 of 3, validation R2 0.5000") < shown.index(running.pk)
    assert "epoch 2 of 7, validation accuracy 0.8765" in shown
    assert '<span class="queued">queued</span>' in shown and '<span class="running">running</span>' in shown


@pytest.mark.django_db
def test_it_shows_active_runs_before_any_number_of_newer_ones(client):
    active = make_run(make_task())
    ended = [make_run(active.task, status="finished") for _ in range(12)]
    client.force_login(make_user())
    page = client.get("/", headers=HTML).content.decode()
    assert -1 < page.index(active.pk) < page.index(ended[-1].pk)
    assert ended[0].pk not in page


@pytest.mark.django_db
def test_it_shows_waiting_tasks_in_the_order_of_their_turns_and_held_ones_last(client):
    long_ago = timezone.now() - timedelta(hours=1)
    make_task(name="held", status="held", priority=100, queued_at=long_ago)
    make_task(name="younger")
    make_task(name="urgent", priority=5)
    make_task(name="older", queued_at=long_ago)
    client.force_login(make_user())
    page = client.get("/", headers=HTML).content.decode()
    assert re.findall(r"<b>\d+ (\w+)</b>", page) == ["urgent", "older", "younger", "held"]


@pytest.mark.django_db
def test_it_escapes_what_users_say(client):
    make_task(name="<script>alert(1)</script>", waiting_reason="<b>")
    client.force_login(make_user())
    page = client.get("/", headers=HTML).content.decode()
    assert "<script>" not in page
    assert "<b></" not in page


@pytest.mark.django_db
def test_it_needs_no_script_and_a_style_sheet_that_exists(client):
    answer = client.get("/", headers=HTML)
    page = answer.content.decode()
    assert "<script" not in page
    assert not re.search(r"\son\w+=", page)
    assert 'name="viewport"' in page
    assert "default-src 'none'" in answer["Content-Security-Policy"]
    for path in re.findall(r'href="/static/([^"]+)"', page):
        assert finders.find(path), path


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_it_loads_its_documentation_from_itself_only(path, client):
    answer = client.get(path, headers=HTML)
    page = answer.content.decode()

    assert answer.status_code == 200
    assert not REMOTE.search(page)
    assert "script-src 'self';" in answer["Content-Security-Policy"]
    assert not re.search(r"<script(?![^>]*\ssrc=)", page)
    loaded = re.findall(r'(?:src|href)="/static/([^"]+)"', page)
    assert loaded
    for file in loaded:
        assert finders.find(file), file


def test_its_reference_fetches_no_picture_from_elsewhere(client):
    page = client.get("/redoc", headers=HTML).content.decode()
    assert 'src="/redoc.js"' in page
    script = client.get("/redoc.js")
    assert script["Content-Type"].startswith("text/javascript")
    assert b"redoc.ly/redoc/logo" not in script.content and b"/static/mlserver/icon.svg" in script.content


def test_its_reference_has_a_form_for_both_headers_that_no_browser_sends_by_itself(client):
    page = client.get("/redoc", headers=HTML).content.decode()
    form = page[page.index("<form") : page.index("</form>")]
    assert [way for way in ("Bearer", "X-API-Key") if f'<option value="{way}">' in form] == ["Bearer", "X-API-Key"]
    assert " name=" not in form and " action=" not in form
    script = Path(finders.find("mlserver/authorize.js")).read_text()
    assert set(re.findall(r'getElementById\("(.*?)"\)', script)) <= set(re.findall(r'id="(.*?)"', form))


def test_its_documentation_keeps_the_key_where_the_reference_puts_it(client):
    script = client.get(re.search(r'src="(/docs\?script[^"]*)"', client.get("/docs", headers=HTML).content.decode())[1])
    assert '"persistAuthorization": true' in script.content.decode()


def test_it_starts_the_documentation_by_a_second_request(client):
    script = re.search(r'src="(/docs\?script[^"]*)"', client.get("/docs", headers=HTML).content.decode())
    assert script is not None
    answer = client.get(script[1])
    assert answer["Content-Type"].startswith("application/javascript")
    assert '"/openapi.json"' in answer.content.decode().replace("\\u002D", "-")


@pytest.mark.parametrize("path", ["/", "/health", "/api/health", "/docs", "/redoc", "/openapi.json"])
def test_it_is_open_even_to_a_wrong_key(path):
    assert Client(headers={"Authorization": "Bearer wrong"}).get(path).status_code == 200


@pytest.mark.parametrize("path", ["/health/", "/docs/", "/api/v1/tasks/", "/admin", "/nothing", "/api/nothing"])
def test_returns_404_when_a_path_is_not_exact(path, client):
    answer = client.get(path)
    assert answer.status_code == 404
    if path.startswith("/api/"):
        assert "detail" in answer.json()


@pytest.mark.parametrize("path", ["/", "/health", "/api/health", "/openapi.json"])
def test_returns_405_when_a_page_is_posted_to(path, client):
    assert client.post(path).status_code == 405
