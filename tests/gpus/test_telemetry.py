"""What a look at the devices writes into their rows."""

import json
import os
from datetime import timedelta

import pytest
from django.utils import timezone

from gpus import nvml, telemetry
from gpus.availability import why_not_schedulable
from gpus.driver import Driver, DriverSilentError
from gpus.inventory import list_devices, register_gpus
from gpus.models import Gpu, Node
from gpus.nvml import AbsentReader, NvmlReader
from gpus.simulated import SimulatedReader
from gpus.telemetry import look, note_alive, release_clean_quarantines, store, users_of
from tests.gpus.fake_nvml import FakeDevice, FakeNvml
from tests.gpus.hanging import answer_fifo
from tests.make import make_gpu, make_node

pytestmark = pytest.mark.django_db

OURS = 100
OUTSIDER = 200


def is_ours(pid: int) -> bool:
    return pid == OURS


class Stage:
    """A node with simulated devices whose script a test rewrites."""

    def __init__(self, folder, count: int = 2) -> None:
        self.script = folder / "simulated_gpus.json"
        self.reader = SimulatedReader(count, 24576, self.script)
        self.node = make_node(is_sampled=False)
        register_gpus(self.node, list_devices(self.reader))

    def play(self, index: int = 0, **values) -> None:
        self.script.write_text(json.dumps({str(index): values}))

    def look(self, index: int = 0, **reserved_mib: int) -> Gpu:
        reserved = {f"GPU-simulated-{key.removeprefix('gpu')}": mib for key, mib in reserved_mib.items()}
        store(self.node, look(self.reader), is_ours, reserved_mib=reserved)
        return Gpu.objects.get(node=self.node, index=index)


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path)


def process(pid: int, mib: int | None) -> dict[str, int | None]:
    return {"pid": pid, "used_memory_mib": mib}


def test_it_writes_all_devices_in_one_statement(stage, django_assert_num_queries):
    stage.play(1, used_memory_mib=10, utilization_percent=42.5, temperature_c=61, power_w=210.25)
    seen = look(stage.reader)
    with django_assert_num_queries(1):
        store(stage.node, seen, is_ours)
    idle, busy = stage.node.gpus.all()

    assert (idle.used_memory_mib, idle.utilization_percent, idle.temperature_c) == (0, 0.0, None)
    assert (busy.used_memory_mib, busy.utilization_percent) == (10, 42.5)
    assert (busy.temperature_c, busy.power_w) == (61.0, 210.25)
    assert (idle.power_limit_w, idle.performance_state) == (None, "")
    assert idle.sampled_at == busy.sampled_at == seen.at
    assert Node.objects.get().agent_seen_at is None


def test_it_writes_the_state_of_a_device(stage):
    state = {
        "memory_utilization_percent": 20.5, "power_limit_w": 450.0, "sm_clock_mhz": 2520.0, "memory_clock_mhz": 10501.0,
        "performance_state": "P2", "fan_speed_percent": 35.0,
    }  # fmt: skip
    stage.play(**state)
    gpu = stage.look()
    assert {name: getattr(gpu, name) for name in state} == state

    stage.play(missing=True)
    assert {getattr(stage.look(), name) for name in state} == {None, ""}


def test_it_writes_nothing_when_there_is_no_device(django_assert_num_queries):
    with django_assert_num_queries(1):
        node = make_node(is_sampled=False)
        store(node, look(AbsentReader("no driver")), is_ours)


@pytest.mark.parametrize(("silent_s", "was_away"), [(None, True), (11, True), (9, False)])
def test_it_notes_that_the_agent_is_there_and_whether_it_was_missed(silent_s, was_away):
    seen = silent_s and timezone.now() - timedelta(seconds=silent_s)
    node = make_node(agent_seen_at=seen)

    assert note_alive(node) is was_away
    assert Node.objects.get().is_reporting and note_alive(node) is False


def test_it_leaves_other_nodes_alone(stage):
    other = make_gpu(make_node(is_sampled=False), used_memory_mib=5, sampled_at=None)
    stage.look()
    other.refresh_from_db()

    assert (other.used_memory_mib, other.sampled_at, other.node.agent_seen_at) == (5, None, None)


def test_it_counts_only_processes_of_others_as_foreign(stage):
    stage.play(processes=[process(OURS, 4000), process(OUTSIDER, 9000)])
    gpu = stage.look()

    assert (gpu.foreign_process_count, gpu.foreign_memory_mib) == (1, 9000)
    assert gpu.used_memory_mib == 13000


def test_it_does_not_count_our_own_process_that_exceeds_its_reservation(stage):
    stage.play(processes=[process(OURS, 9000)])
    gpu = stage.look(gpu0=4000)

    assert (gpu.foreign_process_count, gpu.foreign_memory_mib) == (0, 0)


def test_it_attributes_memory_beyond_reservations_to_others_when_processes_are_unknown(stage):
    stage.play(processes=None, used_memory_mib=13000)
    gpu = stage.look(gpu0=4000)

    assert (gpu.foreign_process_count, gpu.foreign_memory_mib) == (0, 9000)


def test_it_attributes_memory_that_no_listed_process_explains_to_others(stage):
    stage.play(processes=[process(OURS, 4000)], used_memory_mib=13000)

    assert stage.look().foreign_memory_mib == 9000


def test_it_attributes_the_rest_to_a_foreign_process_of_unknown_memory(stage):
    stage.play(processes=[process(OURS, 4000), process(OUTSIDER, None)], used_memory_mib=13000)
    gpu = stage.look()

    assert (gpu.foreign_process_count, gpu.foreign_memory_mib) == (1, 9000)


@pytest.mark.parametrize(("used_mib", "foreign_mib"), [(64, 0), (65, 65)])
def test_it_leaves_a_little_memory_to_the_driver(stage, used_mib, foreign_mib):
    stage.play(used_memory_mib=used_mib)

    assert stage.look().foreign_memory_mib == foreign_mib


def test_it_stores_none_for_what_is_not_supported(stage):
    stage.look()
    stage.play(used_memory_mib=None, utilization_percent=None, processes=None)
    gpu = stage.look()

    assert (gpu.used_memory_mib, gpu.utilization_percent, gpu.temperature_c, gpu.power_w) == (None,) * 4
    assert gpu.is_present and gpu.foreign_memory_mib == 0


def test_it_stores_none_for_every_field_of_a_driver_that_says_nothing(monkeypatch):
    calls = ["memory", "utilization", "temperature", "temperature_old", "power", "compute"]
    monkeypatch.setattr(nvml, "pynvml", FakeNvml(FakeDevice("GPU-a", **dict.fromkeys(calls, 3))))
    node, reader = make_node(), NvmlReader()
    register_gpus(node, list_devices(reader))
    store(node, look(reader), is_ours)
    gpu = Gpu.objects.get()

    assert gpu.is_present and gpu.sampled_at is not None
    assert (gpu.used_memory_mib, gpu.utilization_percent, gpu.temperature_c, gpu.power_w) == (None,) * 4


def test_it_marks_a_lost_device_and_finds_it_again(stage):
    before = stage.look()
    stage.play(missing=True)
    lost = stage.look()
    assert not lost.is_present and lost.used_memory_mib is None
    assert lost.sampled_at == before.sampled_at
    assert stage.look(1).is_present
    stage.script.unlink()

    assert stage.look().is_present


def test_it_forgets_an_outsider_who_has_gone(stage):
    stage.play(processes=[process(OUTSIDER, 9000)])
    assert stage.look().foreign_process_count == 1
    stage.script.unlink()
    gpu = stage.look()

    assert (gpu.foreign_process_count, gpu.foreign_memory_mib, gpu.used_memory_mib) == (0, 0, 0)


@pytest.fixture
def asked(stage, monkeypatch):
    """The driver of this process has the devices of the stage."""
    driver = Driver(lambda: stage.reader)
    monkeypatch.setattr(telemetry, "own_driver", lambda: driver)


@pytest.mark.usefixtures("asked")
def test_it_lists_processes_of_the_moment(stage):
    stage.play(processes=[process(OURS, 4000)])

    assert [each.pid for each in users_of("GPU-simulated-0") or []] == [OURS]
    assert users_of("GPU-unknown") is None


@pytest.mark.usefixtures("asked")
def test_it_waits_only_so_long_for_a_driver_that_does_not_answer(stage, monkeypatch):
    monkeypatch.setattr(telemetry, "ANSWER_WITHIN_S", 0.05)
    os.mkfifo(stage.script)
    with pytest.raises(DriverSilentError):
        users_of("GPU-simulated-0")

    answer_fifo(stage.script)


def quarantined(stage: Stage, *, for_s: float = 31) -> Gpu:
    gpu = stage.look()
    gpu.quarantine("a process would not go")
    Gpu.objects.filter(pk=gpu.pk).update(quarantined_at=timezone.now() - timedelta(seconds=for_s))
    return stage.look()


def test_it_releases_a_quarantined_device_that_is_idle(stage):
    gpu = quarantined(stage)

    assert release_clean_quarantines(stage.node) == [gpu]
    gpu.refresh_from_db()
    assert gpu.quarantined_at is None and gpu.quarantine_reason == ""


def test_it_keeps_a_fresh_quarantine(stage):
    quarantined(stage, for_s=29)

    assert release_clean_quarantines(stage.node) == []


@pytest.mark.parametrize(
    "played",
    [
        {"processes": [process(OURS, 3000)]},
        {"processes": [process(OUTSIDER, None)]},
        {"used_memory_mib": 65},
        {"used_memory_mib": None},
        {"missing": True},
    ],
)
def test_it_keeps_the_quarantine_of_a_device_that_is_not_idle(stage, played):
    stage.play(**played)
    quarantined(stage)

    assert release_clean_quarantines(stage.node) == []


def test_it_keeps_the_quarantine_of_a_device_nobody_looks_at(stage):
    gpu = quarantined(stage)
    Gpu.objects.filter(pk=gpu.pk).update(sampled_at=timezone.now() - timedelta(seconds=3))

    assert release_clean_quarantines(stage.node) == []


def test_it_does_not_take_a_desktop_for_somebody_who_computes(stage):
    stage.play(0, processes=[process(OUTSIDER, 90) | {"is_compute": False}])

    gpu = stage.look()
    note_alive(gpu.node)

    assert (gpu.foreign_process_count, gpu.foreign_memory_mib) == (0, 90)
    assert why_not_schedulable(gpu) == ""
