"""F1-F3, F11, F12."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from gpus.inventory import node_name
from gpus.models import Gpu
from gpus.occupants import describe, occupants_of, store
from gpus.readings import GpuProcess, GpuSample
from gpus.telemetry import Look
from tests.make import make_client, make_gpu, make_lease, make_node, make_process, make_run, make_task
from tests.serving import RunningServer

pytestmark = pytest.mark.django_db
SLEEP = "import time; time.sleep(60)"


def occupant(pid: int, **facts: object) -> dict[str, object]:
    return {
        "pid": pid, "user": "mei", "command": "python fit.py", "started_at_s": 1.5, "used_memory_mib": 3010,
        "is_ours": False, **facts,
    }  # fmt: skip


def test_it_shows_each_device_as_it_was_sampled(api, gpu):
    Gpu.objects.filter(pk=gpu.pk).update(
        name="NVIDIA L4", memory_mib=23034, used_memory_mib=3172, utilization_percent=63.4, temperature_c=58,
        power_w=61.7, power_limit_w=72, processes=[occupant(4, is_ours=True), occupant(5, used_memory_mib=None)],
    )  # fmt: skip
    assert api.get("/api/gpus").json() == {
        "0": {
            "used_memory": "3172MB",
            "processes": [
                {"pid": 4, "user": "mei", "command": "python fit.py", "used_memory": "3010MB"},
                {"pid": 5, "user": "mei", "command": "python fit.py", "used_memory": None},
            ],
            "name": "NVIDIA L4", "status": "available", "total_memory": 23034.0, "free_memory": 19862.0,
            "utilization": 63, "temperature": 58, "power": 61.7, "max_power": 72.0, "user_process_num": 1,
            "all_process_num": 2,
        }
    }  # fmt: skip


def test_a_device_that_is_off_or_silent_is_disabled(api, gpu):
    Gpu.objects.filter(pk=gpu.pk).update(is_enabled=False)
    assert api.get("/api/gpus").json()["0"]["status"] == "disabled"
    Gpu.objects.filter(pk=gpu.pk).update(is_enabled=True, sampled_at=timezone.now() - timedelta(minutes=1))
    row = api.get("/api/gpus").json()["0"]
    assert (row["status"], row["max_power"]) == ("disabled", "?")


def test_without_gpus_there_are_none(api):
    make_gpu(make_node("elsewhere"))
    assert api.get("/api/gpus").json() == {}


def test_a_command_line_that_is_no_text_is_shown_as_far_as_it_is(api, gpu):
    with subprocess.Popen([sys.executable, "-c", SLEEP, b"\xff\xfe"], stdin=subprocess.DEVNULL) as process:
        found = describe(GpuProcess(process.pid), is_ours=False)
        process.kill()
    Gpu.objects.filter(pk=gpu.pk).update(processes=[found])
    shown = f"{sys.executable} -c {SLEEP} ??"
    assert api.get("/api/gpus").json()["0"]["processes"][0]["command"] == shown
    assert api.get("/api/gpu/0/process").json()[str(process.pid)]["command"] == shown


def test_it_shows_processes_of_one_device_ours_with_their_task(api, owner, gpu):
    run = make_run(make_task(owner, status="active"))
    process = make_process(run, pid=4)
    make_lease(run, gpu)
    Gpu.objects.filter(pk=gpu.pk).update(processes=[occupant(4, is_ours=True), occupant(5, user="jo")])
    found = api.get("/api/gpu/0/process").json()
    assert found["5"] == {
        "user": "jo", "command": "python fit.py", "process_id": None, "pid": 5, "task_id": None, "gpu_id": 0,
        "status": "running", "start_time": 1.5, "cmd": "python fit.py", "func": "python fit.py", "managed": False,
    }  # fmt: skip
    ours = found["4"]
    assert (ours["process_id"], ours["task_id"], ours["managed"]) == (process.pk - 1, run.task_id, True)
    assert ours["start_time"] == process.started_at.timestamp()


@pytest.mark.parametrize(("word", "status"), [("7", 404), ("x", 400), ("-1", 400), ("9" * 30, 400)])
def test_it_knows_no_such_gpu(api, gpu, word, status):
    answer = api.get(f"/api/gpu/{word}/process")
    assert answer.status_code == status and list(answer.json()) == ["error"]


def test_an_administrator_flips_the_switch(gpu):
    admin = make_client(scope="admin")
    assert admin.post("/api/gpu/0/switch").json() == {"gpu_id": "0", "success": True, "is_on": False}
    assert not Gpu.objects.get(pk=gpu.pk).is_enabled
    assert admin.post("/api/gpu/0/switch").json()["is_on"] is True
    unknown = admin.post("/api/gpu/9/switch")
    assert unknown.status_code == 404
    assert unknown.json() | {"error": ""} == {"gpu_id": "9", "success": False, "is_on": None, "error": ""}


def test_nobody_else_flips_it(api, gpu):
    assert api.post("/api/gpu/0/switch").status_code == 403
    assert Client().post("/api/gpu/0/switch").status_code == 401
    assert Gpu.objects.get(pk=gpu.pk).is_enabled


def test_the_machine_in_a_line_and_its_uptime(api):
    answer = api.get("/api/system/info")
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert re.fullmatch(r"Linux \S+, CPU: \d+ cores, Memory: \d+\.\d+ GB", answer.content.decode())
    uptime = api.get("/api/system/uptime").json()
    assert list(uptime) == ["days", "hours", "minutes", "seconds"]
    assert all(isinstance(part, int) and part >= 0 for part in uptime.values())
    for path in ("/api/system/info", "/api/system/uptime", "/api/gpus", "/api/gpu/0/process"):
        assert Client().get(path).status_code == 401


def test_it_asks_the_database_once(api, gpu, django_assert_num_queries):
    api.get("/api/gpus")
    with django_assert_num_queries(2):  # the key, and the devices
        api.get("/api/gpus")


def test_occupants_are_described_by_the_system_and_written_when_they_change(gpu, django_assert_num_queries):
    me = describe(GpuProcess(os.getpid(), 7), is_ours=True)
    assert me["user"] and me["command"] and me["started_at_s"] > 0
    gone = describe(GpuProcess(2**22 - 1, None), is_ours=False)
    assert (gone["user"], gone["command"], gone["started_at_s"]) == ("", "", None)
    seen = {
        gpu.uuid: (GpuSample(), [GpuProcess(os.getpid(), 7), GpuProcess(1, 3, is_compute=False)]),
        "lost": (None, []),
    }
    found = occupants_of(Look(timezone.now(), seen), lambda pid: True)
    assert list(found) == [gpu.uuid] and [it["pid"] for it in found[gpu.uuid]] == [os.getpid()]
    with django_assert_num_queries(1):
        known = store(gpu.node, found, {})
    with django_assert_num_queries(0):
        assert store(gpu.node, found, known) == known
    gpu.refresh_from_db()
    assert gpu.processes == found[gpu.uuid]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    env: dict[str, str | None] = {"MLSERVER_SIMULATED_GPUS": "2x24576", "FLOWLINE_GPUS": "1"}
    with RunningServer(tmp_path_factory.mktemp("flowline-gpus") / "home", env=env) as server:
        yield server.start()


@pytest.mark.process
def test_only_the_gpus_of_the_setting_are_on_when_they_are_first_seen(server):
    gpus = server.api.get("/api/gpus").json()
    assert {index: gpu["status"] for index, gpu in gpus.items()} == {"0": "disabled", "1": "available"}
    assert server.api.post("/api/gpu/0/switch").json() == {"gpu_id": "0", "success": True, "is_on": True}


def test_the_test_node_is_this_machine(gpu):
    assert gpu.node.name == node_name()
