"""Rows of this machine and its devices follow what is there."""

import socket
import threading
from pathlib import Path

import pytest
from django.db import connection

from gpus import inventory
from gpus.inventory import Listing, list_devices, machine_memory_mib, node_name, register_gpus, register_node
from gpus.models import Gpu, Node
from gpus.readings import GpuInfo
from gpus.simulated import SimulatedReader
from tests.make import make_gpu, make_node

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home")]


def listed(*devices: GpuInfo) -> Listing:
    """The driver lists just these."""
    return Listing(list(devices), "580.65.06")


def test_it_registers_this_machine(settings):
    settings.CPU_SLOTS = 7
    node = register_node()

    assert node.name == socket.gethostname()
    assert node.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert node.cpu_slots == 7 and node.memory_mib > 0


def test_it_updates_the_same_row_after_a_reboot_and_keeps_its_switches(settings):
    settings.CPU_SLOTS = 3
    before = make_node(socket.gethostname(), boot_id="earlier", is_enabled=False)
    node = register_node()

    assert node.pk == before.pk and Node.objects.count() == 1
    assert node.boot_id != "earlier" and node.cpu_slots == 3
    assert not node.is_enabled


def test_it_is_the_same_node_under_another_host_name(home, monkeypatch):
    node = register_node()
    monkeypatch.setattr(socket, "gethostname", lambda: "made-anew")

    assert register_node().pk == node.pk and Node.objects.get().name == node.name
    assert (home / "node").read_text().strip() == node.name


def test_it_is_another_node_in_another_home(home, settings, monkeypatch):
    node = register_node()
    settings.MLSERVER_HOME = home / "elsewhere"
    settings.MLSERVER_HOME.mkdir()
    monkeypatch.setattr(socket, "gethostname", lambda: "another")

    assert register_node().pk != node.pk


def test_it_takes_the_host_name_when_the_kept_one_was_emptied(home):
    (home / "node").write_text("")

    assert node_name() == socket.gethostname()


def test_it_registers_devices(tmp_path):
    node = make_node()
    register_gpus(node, list_devices(SimulatedReader(2, 24576, tmp_path / "none.json")))

    first, second = node.gpus.all()
    assert (first.uuid, first.index, first.memory_mib) == ("GPU-simulated-0", 0, 24576)
    assert second.is_simulated and second.is_present and second.is_enabled
    node.refresh_from_db()
    assert node.driver_version == "simulated"


def test_it_changes_nothing_when_asked_again(django_assert_num_queries):
    node, listing = make_node(), listed(GpuInfo("GPU-a", 0, "4090", 24064))
    register_gpus(node, listing)
    before = Gpu.objects.values().get()
    with django_assert_num_queries(3):
        register_gpus(node, listing)

    assert Gpu.objects.values().get() == before


def test_it_keeps_switch_and_quarantine_of_a_known_device():
    gpu = make_gpu(uuid="GPU-a", is_enabled=False, memory_mib=1)
    gpu.quarantine("a process would not go")
    register_gpus(gpu.node, listed(GpuInfo("GPU-a", 0, "4090", 24064)))
    gpu.refresh_from_db()

    assert gpu.memory_mib == 24064
    assert not gpu.is_enabled and gpu.quarantined_at is not None


def test_it_follows_a_device_to_another_index_and_another_node():
    gpu, other = make_gpu(uuid="GPU-a", index=3), make_node("other")
    register_gpus(other, listed(GpuInfo("GPU-b", 0, "", 1), GpuInfo("GPU-a", 1, "", 1)))
    gpu.refresh_from_db()

    assert (gpu.node, gpu.index) == (other, 1)
    assert Gpu.objects.count() == 2


def test_it_marks_a_device_that_is_no_longer_listed_and_finds_it_again():
    node = make_node()
    gpu = make_gpu(node, uuid="GPU-a")
    elsewhere = make_gpu(make_node(), uuid="GPU-elsewhere")
    register_gpus(node, listed())
    gpu.refresh_from_db()
    assert not gpu.is_present
    register_gpus(node, listed(GpuInfo("GPU-a", 0, "", 1)))
    gpu.refresh_from_db()
    elsewhere.refresh_from_db()

    assert gpu.is_present and elsewhere.is_present


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_it_makes_one_row_each_when_two_processes_register_at_once(tmp_path):
    node_name()  # written with a draft named by the process, and these are threads of one
    meet = threading.Barrier(4)
    failures: list[BaseException] = []

    def register() -> None:
        try:
            meet.wait(10)
            register_gpus(register_node(), list_devices(SimulatedReader(4, 24576, tmp_path / "none.json")))
        except BaseException as error:  # noqa: BLE001  a thread's failure must reach the test
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=register) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert failures == []
    assert Node.objects.count() == 1
    assert sorted(Gpu.objects.values_list("index", flat=True)) == [0, 1, 2, 3]


@pytest.mark.parametrize(("limit", "expected_mib"), [("1073741824", 1024), ("99999999999999999", None), ("max", None)])
def test_it_offers_no_more_memory_than_the_control_group_allows(monkeypatch, tmp_path, limit, expected_mib):
    (tmp_path / "memory.max").write_text(limit + "\n")
    monkeypatch.setattr(inventory, "CGROUP_LIMIT", tmp_path / "nowhere")
    machine_mib = machine_memory_mib()
    monkeypatch.setattr(inventory, "CGROUP_LIMIT", tmp_path / "memory.max")

    assert machine_memory_mib() == (expected_mib or machine_mib)
