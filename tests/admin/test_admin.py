"""Every page of the Django admin that has rows to show."""

from datetime import UTC, datetime

import pytest
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_q.models import OrmQ, Schedule
from django_q.signing import SignedPackage

from mlserver.accounts.models import IdempotentAnswer
from registry.models import Artifact, ArtifactVersion
from tests.make import (
    make_epoch,
    make_event,
    make_gpu,
    make_key,
    make_lease,
    make_node,
    make_pool,
    make_process,
    make_queue,
    make_run,
    make_series,
    make_session,
    make_task,
    make_user,
    make_version,
)
from tests.metrics import log
from training.models import (
    DispatchLoop,
    Event,
    ImportedRoot,
    MetricFile,
    Run,
    RunAlias,
    RunArtifact,
    RunEnvironment,
    RunFolder,
    RunMedia,
    Spool,
    Task,
    TaskDependency,
    TaskSchedule,
    TaskStatus,
    TrainingSession,
    Usage,
    UserLimits,
)
from training.queue import control

pytestmark = pytest.mark.django_db

OURS = ("auth", "accounts", "gpus", "registry", "training", "django_q")
MODELS = sorted(
    (model for model in admin.site._registry if model._meta.app_label in OURS), key=lambda it: it._meta.label
)


@pytest.fixture
def browser(client: Client) -> Client:
    client.force_login(make_user("root", is_admin=True))
    return client


@pytest.fixture
def one_of_each() -> None:
    run = make_run()
    make_key(run.owner)
    run.owner.groups.create(name="readers")
    for make in (make_process, make_lease):
        make(run)
    make_series(run)
    make_event(run.task, run=run)
    session = make_session(task=run.task)
    make_epoch(session, 1, run)
    RunArtifact.objects.create(run=run, version=session.dataset_version, usage=Usage.USED)
    log(run, {"global_step": 1, "val": 0.5, "stage": "train"})
    Spool.objects.create(run=run)
    MetricFile.objects.create(run=run, name="metrics.jsonl")
    root = ImportedRoot.objects.create(path="/data/runicorn", owner=run.owner)
    RunFolder.objects.create(run=run, root=root, path=f"vision/resnet/runs/{run.pk}")
    DispatchLoop.toggle()
    make_pool("fast", run.leases.get().gpu, run.leases.get().gpu.node)
    make_queue("night", max_gpus=1)
    TaskSchedule.objects.create(name="nightly", owner=run.owner, cron="0 3 * * *", template={"command": "x"})
    UserLimits.objects.create(user=run.owner, max_running=1)
    TaskDependency.objects.create(task=make_task(), needs=run.task)
    RunAlias.objects.create(run=run, alias="20260101_000000_abcdef")
    RunEnvironment.objects.create(run=run, facts={"python": "3.11.7"})
    RunMedia.objects.create(run=run, name="1_abcdef_sample.png", key="sample")
    IdempotentAnswer.objects.create(user=run.owner, path="/api/v1/tasks", key="a", request_digest="b")
    task = {"id": "a" * 32, "name": "launch", "func": "training.queue.tasks.launch", "args": (run.pk,), "kwargs": {}}
    OrmQ.objects.create(key="mlserver", payload=SignedPackage.dumps(task), lock=timezone.now())
    Schedule.objects.create(func="mlserver.heartbeat.beat")
    done = {"func": "mlserver.heartbeat.beat", "started": timezone.now(), "stopped": timezone.now()}
    for name, success in (("Success", True), ("Failure", False)):
        model = next(it for it in MODELS if it.__name__ == name)
        model.objects.create(id=name * 2, name=name, success=success, result="", **done)


def url_of(model: type, page: str, *args: object) -> str:
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}"
    return reverse(name, args=[quote(it) for it in args])


def test_it_registers_every_model_of_ours() -> None:
    from django.apps import apps

    ours = {
        model
        for label in ("accounts", "gpus", "registry", "training")
        for model in apps.get_app_config(label).get_models()
    }
    assert ours <= set(MODELS)


@pytest.mark.parametrize("model", MODELS, ids=lambda it: it._meta.label)
def test_it_shows_the_list_and_the_form_of(model: type, browser: Client, one_of_each: None) -> None:
    row = model.objects.first()
    assert row is not None, f"one_of_each makes no {model._meta.label}"
    listed = browser.get(url_of(model, "changelist"))
    assert listed.status_code == 200
    assert url_of(model, "change", row.pk) in listed.content.decode()
    assert browser.get(url_of(model, "change", row.pk)).status_code == 200


@pytest.mark.parametrize(
    "model", [it for it in MODELS if admin.site._registry[it].search_fields], ids=lambda it: it._meta.label
)
def test_it_searches_where_search_is_offered(model: type, browser: Client, one_of_each: None) -> None:
    found = browser.get(url_of(model, "changelist"), {"q": "nothing like this"})
    assert found.status_code == 200
    assert url_of(model, "change", model.objects.first().pk) not in found.content.decode()


def act(browser: Client, action: str, *tasks: Task) -> str:
    chosen = {"action": action, "_selected_action": [task.pk for task in tasks]}
    return browser.post(url_of(Task, "changelist"), chosen, follow=True).content.decode()


@pytest.mark.parametrize(
    ("action", "before", "after"),
    [
        ("stop", TaskStatus.WAITING, TaskStatus.STOPPED),
        ("hold", TaskStatus.WAITING, TaskStatus.HELD),
        ("release", TaskStatus.HELD, TaskStatus.WAITING),
        ("retry", TaskStatus.FAILED, TaskStatus.WAITING),
    ],
)
def test_it_directs_the_chosen_tasks(action: str, before: str, after: str, browser: Client) -> None:
    task = make_task(status=before)
    assert "Done for 1 of 1 tasks" in act(browser, action, task)
    task.refresh_from_db()
    assert task.status == after


def test_it_names_tasks_in_another_state_and_goes_on(browser: Client) -> None:
    ended, waiting = make_task(status=TaskStatus.COMPLETED), make_task()
    page = act(browser, "hold", ended, waiting)
    assert f"Task {ended.pk} is completed" in page
    assert "Done for 1 of 2 tasks" in page


def test_it_hides_an_ended_task_but_keeps_its_runs(browser: Client) -> None:
    run = make_run(make_task(status=TaskStatus.COMPLETED), status="finished")
    act(browser, "delete_softly", run.task)
    assert not Task.objects.visible().exists()
    assert Run.objects.filter(pk=run.pk).exists()


def test_it_deletes_all_versions_of_an_artifact_and_nothing_for_good(browser: Client) -> None:
    first = make_version("net")
    make_version("net")
    chosen = {"action": "take_back", "_selected_action": [first.artifact_id]}
    page = browser.post(url_of(Artifact, "changelist"), chosen, follow=True).content.decode()
    assert "2 versions of 1 artifacts" in page
    assert [version.status for version in ArtifactVersion.objects.all()] == ["deleted"] * 2
    assert browser.get(url_of(Artifact, "delete", first.artifact_id)).status_code == 403


def test_it_deletes_no_artifact_that_a_session_needs_and_goes_on(browser: Client) -> None:
    session, other = make_session(), make_version("net")
    used = session.dataset_version
    chosen = {"action": "take_back", "_selected_action": [used.artifact_id, other.artifact_id]}
    page = browser.post(url_of(Artifact, "changelist"), chosen, follow=True).content.decode()
    assert f"is in use by training session {session.pk}: stop the session first" in page
    assert "Deleted: 1 versions of 1 artifacts" in page
    assert ArtifactVersion.objects.ready().get() == used
    chosen["_selected_action"] = [used.artifact_id]
    assert "Deleted:" not in browser.post(url_of(Artifact, "changelist"), chosen, follow=True).content.decode()


def test_it_never_changes_a_status_by_form(browser: Client) -> None:
    task = make_task(name="before")
    form = {"name": "after", "tags": "[]", "priority": 7, "pool": "default", "queue": "default", "status": "completed"}
    assert browser.post(url_of(Task, "change", task.pk), form).status_code == 302
    task.refresh_from_db()
    assert (task.name, task.priority, task.status) == ("after", 7, TaskStatus.WAITING)


TASK_FORM = {"name": "n", "tags": "[]", "priority": 0, "pool": "default", "queue": "default"}
NO_INLINES = {
    f"{prefix}-{count}_FORMS": 0
    for prefix in ("processes", "leases", "artifacts", "series")
    for count in ("TOTAL", "INITIAL")
}


@pytest.mark.parametrize(
    ("change", "field", "said"),
    [
        ({"priority": 500}, "priority", "500 is not a whole number from -100 to 100"),
        ({"tags": '[""]'}, "tags", "is not a list of at most 100 tags"),
        ({"tags": "", "initial-tags": "[]"}, "tags", "is not a list of at most 100 tags"),
        ({"pool": "a/b"}, "pool", "is not a name"),
    ],
)
def test_it_says_what_it_refuses_at_the_field(change: dict, field: str, said: str, browser: Client) -> None:
    task = make_task(name="before")
    answer = browser.post(url_of(Task, "change", task.pk), TASK_FORM | change)
    assert answer.status_code == 200
    assert said in answer.context["adminform"].form.errors[field][0]
    assert "success" not in [message.level_tag for message in answer.context["messages"]]
    task.refresh_from_db()
    assert task.name == "before"


def test_it_says_what_it_refuses_of_a_run_at_the_field(browser: Client) -> None:
    run = make_run()
    form = {"name": "n", "tags": "7", "notes": "", **NO_INLINES}
    answer = browser.post(url_of(Run, "change", run.pk), form)
    assert "7 is not a list" in answer.context["adminform"].form.errors["tags"][0]


@pytest.mark.parametrize("status", ["active", "completed", "failed", "stopped"])
def test_it_offers_resources_only_before_a_task_is_active(status: str, browser: Client) -> None:
    url = url_of(Task, "change", make_task(status=status, pending_runs=0, priority=7).pk)
    assert 'name="tags"' in (page := browser.get(url).content.decode())
    assert 'name="priority"' not in page
    late = browser.post(url, TASK_FORM | {"priority": 9}).context["adminform"].form
    assert late.non_field_errors() == [f"priority keeps 7: the task is {status} by now"]
    assert browser.post(url, TASK_FORM | {"priority": 7}).status_code == 302


def test_it_says_nothing_of_success_when_the_task_moved_on_meanwhile(
    browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = make_task()
    check = control.columns_of_change

    def checked_then_placed(*args: object) -> object:
        columns = check(*args)
        Task.objects.update(status="active")
        return columns

    monkeypatch.setattr(control, "columns_of_change", checked_then_placed)
    page = browser.post(url_of(Task, "change", task.pk), TASK_FORM | {"priority": 9}, follow=True)
    assert [message.level_tag for message in page.context["messages"]] == ["error"]


def test_it_keeps_the_directory_of_a_run_that_is_renamed(browser: Client) -> None:
    run = make_run(name="before")
    directory = run.directory
    form = {"name": "after", "tags": "[]", "notes": "looks good"}
    for prefix in ("processes", "leases", "artifacts", "series"):
        form |= {f"{prefix}-TOTAL_FORMS": 0, f"{prefix}-INITIAL_FORMS": 0}
    assert browser.post(url_of(Run, "change", run.pk), form).status_code == 302
    run.refresh_from_db()
    assert (run.name, run.notes, run.directory) == ("after", "looks good", directory)


@pytest.mark.parametrize("model", [Task, Run])
def test_it_offers_no_deletion_for_good(model: type, browser: Client) -> None:
    row = make_run() if model is Run else make_task()
    assert browser.post(url_of(model, "delete", row.pk), {"post": "yes"}).status_code == 403
    assert model.objects.filter(pk=row.pk).exists()


def test_it_leads_from_a_task_to_its_runs(browser: Client) -> None:
    run, other = make_run(), make_run()
    page = browser.get(url_of(Task, "change", run.task_id)).content.decode()
    link = url_of(Run, "changelist") + f"?task__id__exact={run.task_id}"
    assert f'href="{link}"' in page
    runs = browser.get(link).content.decode()
    assert run.pk in runs
    assert other.pk not in runs


def test_it_sends_strangers_to_the_login(client: Client) -> None:
    answer = client.get(url_of(Task, "changelist"))
    assert answer.status_code == 302
    assert answer["Location"].startswith("/admin/login/")


def test_it_counts_no_query_per_task(browser: Client, django_assert_max_num_queries: object) -> None:
    make_gpu(make_node())
    for _ in range(5):
        make_run()
    with django_assert_max_num_queries(12):  # type: ignore[operator]
        browser.get(url_of(Task, "changelist"))


def test_it_writes_times_to_the_second_and_in_utc(browser: Client) -> None:
    event = make_event(created_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    assert "2026-01-02 03:04:05 UTC" in browser.get(url_of(Event, "changelist")).content.decode()
    assert "2026-01-02 03:04:05 UTC" in browser.get(url_of(Event, "change", event.pk)).content.decode()


def test_it_has_the_name_and_icon_of_the_server(browser: Client) -> None:
    page = browser.get("/admin/").content.decode()
    assert "<title>Administration | mlserver</title>" in page
    assert 'rel="icon" href="/static/mlserver/icon.svg"' in page


def test_it_labels_fields_for_people(browser: Client) -> None:
    run = make_run()
    page = browser.get(url_of(Task, "change", run.task_id)).content.decode()
    assert all(f"{label}:" in page for label in ("GPUs", "CPUs", "GPU memory in MiB", "Time limit in s"))
    runs = browser.get(url_of(Run, "changelist")).content.decode()
    assert ">SDK<" in runs and ">OOM<" in runs


def test_it_shows_a_session_with_its_epochs_and_lets_nobody_change_it(browser: Client) -> None:
    session = make_session()
    make_epoch(session, 1, val_accuracy=0.8125)
    url = url_of(TrainingSession, "change", session.pk)
    page = browser.get(url).content.decode()
    assert session.pk in page and "0.8125" in page
    assert 'name="_save"' not in page
    assert browser.post(url, {"epochs": 99}).status_code == 403
    assert TrainingSession.objects.get().epochs == 3
