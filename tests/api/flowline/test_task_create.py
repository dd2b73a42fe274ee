"""F7, F15."""

import pytest
from django.test import Client

from tests.api.flowline.conftest import newest_task
from tests.make import make_client, make_node, make_task, make_user
from tests.together import together
from training.models import DispatchLoop, Task

pytestmark = pytest.mark.django_db
URL, COPY = "/api/task/create", "/api/task/copy"


def create(api: Client, **body: object):
    return api.post(URL, body, content_type="application/json")


def test_it_queues_a_command_with_its_parameters_as_options(api, owner, gpu, tmp_path):
    answer = create(
        api, name="warm up", cmd="python fit.py", need_run_num=2, working_dir=str(tmp_path),
        config_dict={"lr": 0.02, "batch-size": 64, "note": "two words; rm", "flag": True},
    )  # fmt: skip
    task = newest_task()
    assert answer.status_code == 200 and answer.json() == {"success": True, "task_id": task.pk}
    assert task.command == "python fit.py --lr 0.02 --batch-size 64 --note 'two words; rm' --flag True"
    assert (task.owner, task.source, task.repeat, task.cwd) == (owner, "flowline", 2, str(tmp_path))
    assert (task.gpus, task.is_exclusive, task.gpu_memory_mib, task.grace_s) == (1, False, None, 5)
    assert task.status == "active"


def test_it_takes_command_for_cmd_and_names_what_has_no_name(api):
    assert create(api, command="true").status_code == 200
    assert (newest_task().name, newest_task().command) == ("Unnamed Task", "true")


def test_it_runs_on_the_cpu_where_there_is_no_gpu(api, settings):
    make_node()
    create(api, cmd="true")
    assert (newest_task().gpus, newest_task().cpus) == (0, 1)
    settings.FLOWLINE_ALLOW_CPU = False
    create(api, cmd="true")
    assert newest_task().gpus == 1 and "GPU" in newest_task().waiting_reason


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "cmd: is required"),
        ({"cmd": "  "}, "cmd"),
        ({"cmd": 7}, "cmd"),
        ({"cmd": "true", "name": ""}, "name"),
        ({"cmd": "true", "name": "n" * 256}, "name"),
        ({"cmd": "true", "need_run_num": 0}, "need_run_num"),
        ({"cmd": "true", "need_run_num": "2"}, "need_run_num"),
        ({"cmd": "true", "need_run_num": 10_001}, "need_run_num"),
        ({"cmd": "true", "config_dict": {"1st": 1}}, "1st"),
        ({"cmd": "true", "config_dict": {"a": {"b": 1}}}, "config_dict"),
        ({"cmd": "true", "config_dict": {"a; rm -rf": 1}}, "config_dict"),
        ({"cmd": "true", "working_dir": "relative"}, "working_dir"),
        ({"cmd": "true", "working_dir": "/no/such/place"}, "working_dir"),
        ({"cmd": "true", "working_dir": "/" + "a" * 400}, "working_dir"),
    ],
)
def test_it_refuses(api, body, said):
    answer = create(api, **body)
    assert answer.status_code == 400 and answer.json()["success"] is False
    assert said in answer.json()["error"]
    assert not Task.objects.exists()


def test_it_refuses_what_is_not_json(api):
    assert api.post(URL, "{", content_type="application/json").status_code == 400
    assert api.post(URL, "cmd=true", content_type="application/x-www-form-urlencoded").status_code == 415
    assert api.post(URL, "[]", content_type="application/json").status_code == 400


def test_it_needs_a_key_that_may_submit(api):
    refused = create(Client(), cmd="true")
    assert refused.status_code == 401 and set(refused.json()) == {"success", "error"}
    assert create(make_client(scope="read"), cmd="true").status_code == 403


def test_it_keeps_a_task_waiting_while_the_loop_is_off(api, gpu):
    DispatchLoop.toggle()
    create(api, cmd="true")
    assert newest_task().waiting_reason == "the dispatch loop of FlowLine is off"
    assert api.post("/api/run").json() == {"if_run": True}
    assert newest_task().status == "active"


def test_a_copy_takes_command_parameters_and_directory(api, gpu, tmp_path):
    create(api, cmd="python fit.py", name="first", config_dict={"lr": 1}, working_dir=str(tmp_path), need_run_num=3)
    original = newest_task()
    answer = api.post(COPY, {"original_task_id": original.pk}, content_type="application/json")
    copy = newest_task()
    assert answer.json() == {"success": True, "new_task_id": copy.pk}
    assert (copy.command, copy.config, copy.cwd, copy.repeat) == (
        original.command, original.config, original.cwd, 3,
    )  # fmt: skip
    assert (copy.name, copy.runs_completed) == ("first (copy)", 0)


def test_a_copy_of_a_task_of_another_door_has_its_command_line(api, gpu):
    original = make_task(command=["python", "fit.py", "two words"])
    body = {"original_task_id": original.pk, "new_name": "again", "need_run_num": 5}
    assert api.post(COPY, body, content_type="application/json").status_code == 200
    assert (newest_task().command, newest_task().name) == ("python fit.py 'two words'", "again")


@pytest.mark.parametrize(
    ("body", "status"), [({}, 400), ({"original_task_id": "x"}, 400), ({"original_task_id": 9}, 404)]
)
def test_a_copy_is_refused(api, body, status):
    answer = api.post(COPY, body, content_type="application/json")
    assert answer.status_code == status and answer.json()["success"] is False


@pytest.mark.django_db(transaction=True)
def test_two_at_once_are_two_tasks():
    user = make_user()
    clients = [make_client(user), make_client(user)]
    answers = together(*(lambda client=client: create(client, cmd="true") for client in clients))
    assert len({answer.json()["task_id"] for answer in answers}) == 2
