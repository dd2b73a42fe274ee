"""Samples of runs: when, of what, in how many statements, and who sees them."""

import os
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from gpus.nvml import NvmlReader
from gpus.readings import GpuProcess, GpuSample
from gpus.telemetry import Look, look
from tests.gpus.fake_nvml import FakeDevice, FakeNvml
from tests.make import make_client, make_gpu, make_lease, make_node, make_run
from tests.metrics import log
from training.models import MetricChunk, MetricGroup, Run, Series
from training.tracking.metrics import cache, read_table
from training.tracking.system import EnergyMeter, SystemSampler, held_leases, read_system, sampler, store
from training.tracking.system.processes import Use

pytestmark = pytest.mark.django_db


@pytest.fixture
def run() -> Run:
    cache.clear()
    return make_run(node=make_node(), started_at=timezone.now() - timedelta(seconds=5))


def sampled(*runs: Run, times: int = 1) -> SystemSampler:
    """Sampled so often; this very process plays their supervisor."""
    system = SystemSampler(10, EnergyMeter())
    for count in range(times + 1):
        system._next_at = 0 if count else system._next_at
        system.tick({run.pk: [os.getpid()] for run in runs}, [], None)
    return system


def test_a_run_is_sampled_soon_after_it_began_and_then_each_period(run: Run) -> None:
    system = SystemSampler(10, EnergyMeter())
    counts = []
    for due in (False, False, False, True):
        system._next_at = 0.0 if due else float("inf")
        system.tick({run.pk: [os.getpid()]}, [], None)
        counts.append(len(read_system(run)))
    assert counts[:3] == [0, 1, 1]
    assert MetricGroup.objects.get().rows == 2, "two samples, of the same second perhaps"


def test_it_says_what_the_processes_use(run: Run) -> None:
    sampled(run)
    table = read_system(run)
    assert sorted(table.columns) == ["system/cpu_percent", "system/memory_mib", "system/processes"]
    assert 5 <= table.steps[0] <= 60
    assert abs(table.times[0] - timezone.now().timestamp()) < 60


@pytest.mark.parametrize(("cpu_s", "seconds", "percent"), [(2.0, 1.0, 100.0), (3.0, 1.0, 200.0), (0.5, 1.0, 0.0)])
def test_cpu_is_percent_of_a_core_since_the_sample_before(cpu_s: float, seconds: float, percent: float) -> None:
    use = Use(frozenset({1, 2}), cpu_s, 3 * 1024**2)
    values = sampler.process_values(use, sampler.Before(1.0, 100.0), 100.0 + seconds)
    assert values == {"system/cpu_percent": percent, "system/memory_mib": 3.0, "system/processes": 2.0}


@pytest.mark.parametrize(("age_s", "is_number"), [(5, True), (3600, False)])
def test_an_agent_that_begins_anew_says_no_average_over_hours(run: Run, age_s: float, is_number: bool) -> None:
    Run.objects.filter(pk=run.pk).update(started_at=timezone.now() - timedelta(seconds=age_s))
    sampled(run)
    percent = read_system(run).columns["system/cpu_percent"][0]
    assert bool(percent == percent) is is_number, "NaN is not itself"


def gpu_values(run: Run, sample: GpuSample | None, processes: list[GpuProcess], **ago: float) -> dict[str, float]:
    assert run.node is not None
    leases = held_leases(run.node)
    last = Look(timezone.now() - timedelta(**ago), {leases[0].uuid: (sample, processes)})
    values = sampler.gpu_values(Use(frozenset({77}), 0, 0), leases, last, EnergyMeter())
    return {name.removeprefix("system/gpu/0/"): value for name, value in values.items()}


def test_memory_of_a_shared_gpu_is_that_of_the_runs_own_processes(run: Run) -> None:
    make_lease(run, make_gpu(run.node), is_exclusive=False, energy_wh=1.5)
    sample = GpuSample(used_memory_mib=900, utilization_percent=40.0, power_w=200.0)
    others = [GpuProcess(77, 300), GpuProcess(78, 600)]
    assert gpu_values(run, sample, others) == {
        "utilization_percent": 40.0, "memory_mib": 300.0, "power_w": 200.0, "energy_wh": 1.5,
    }  # fmt: skip
    assert str(gpu_values(run, sample, [])["memory_mib"]) == "nan"


def test_an_exclusive_gpu_whose_processes_are_not_listed_is_used_by_the_run_alone(run: Run) -> None:
    make_lease(run, make_gpu(run.node))
    assert gpu_values(run, GpuSample(used_memory_mib=900), [])["memory_mib"] == 900.0


@pytest.mark.parametrize(("sample", "ago"), [(None, {}), (GpuSample(power_w=1.0), {"seconds": 60})])
def test_a_device_that_is_gone_or_silent_has_no_values(run: Run, sample: Any, ago: dict[str, float]) -> None:
    make_lease(run, make_gpu(run.node))
    values = gpu_values(run, sample, [], **ago)
    assert [str(values[name]) for name in ("utilization_percent", "memory_mib", "power_w")] == ["nan"] * 3


def test_a_look_through_nvml_becomes_values_of_the_run(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    device = FakeDevice("GPU-a")
    device.compute = [(os.getpid(), 2048)]
    monkeypatch.setattr("gpus.nvml.pynvml", FakeNvml(device))
    reader = NvmlReader()
    reader.devices()
    make_lease(run, make_gpu(run.node, uuid="GPU-a", index=3))
    assert run.node is not None
    meter = EnergyMeter()
    system, leases = SystemSampler(10, meter), held_leases(run.node)
    meter.take(look(reader), leases)
    for _ in range(2):
        system.tick({run.pk: [os.getppid()]}, leases, look(reader))
    columns = {name: column[0] for name, column in read_system(run).columns.items()}
    assert columns["system/gpu/3/memory_mib"] == 2048
    assert (columns["system/gpu/3/utilization_percent"], columns["system/gpu/3/power_w"]) == (73.0, 123.456)
    assert columns["system/gpu/3/energy_wh"] == 0.0


def test_samples_are_no_metrics_of_the_script(run: Run) -> None:
    log(run, {"global_step": 1, "loss": 0.5})
    sampled(run, times=3)
    log(run, {"global_step": 2, "loss": 0.25})
    assert list(read_table(run).columns) == ["loss"]
    assert list(Series.objects.values_list("name", "count")) == [("loss", 2)]
    client, path = make_client(scope="read"), f"/api/v1/runs/{run.pk}/metrics"
    assert set(client.get(path).json()["values"]) == {"loss"}
    assert client.get(f"{path}?system=1").json()["values"].keys() == set(read_system(run).columns)
    asked = client.get(f"{path}?names=system/memory_mib").json()
    assert list(asked["values"]) == ["system/memory_mib"] and asked["steps"]
    assert client.get(f"{path}?names=system/memory_mib&system=0").json()["steps"] == []
    assert client.get(f"{path}?system=perhaps").status_code == 422


def test_a_sample_of_many_runs_costs_as_many_statements_as_one(run: Run, django_assert_num_queries: Any) -> None:
    runs = [run, *(make_run(node=run.node) for _ in range(20))]
    system = sampled(*runs)
    system._next_at = 0
    # A savepoint and its release, the runs, their groups, the chunks, the numbers of rows.
    with django_assert_num_queries(6):
        system.tick({one.pk: [os.getpid()] for one in runs}, [], None)
    with django_assert_num_queries(0):
        system.tick({one.pk: [os.getpid()] for one in runs}, [], None)


def test_chunks_are_merged_from_time_to_time(run: Run) -> None:
    values = {"system/cpu_percent": 1.0, "system/memory_mib": 2.0}
    for step in range(100):
        store.store([store.RunSample(run.pk, step, float(step), values)])
    assert read_system(run).steps.tolist() == list(range(100))
    assert MetricChunk.objects.count() <= store.MERGE_EACH
    assert read_system(run, ["system/memory_mib"], (10, 12)).columns["system/memory_mib"].tolist() == [2.0] * 3


def test_runs_that_ended_are_not_sampled_and_forgotten(run: Run) -> None:
    system = sampled(run)
    run.finish("finished", "ok", "")
    rows = len(read_system(run))
    system._next_at = 0
    system.tick({run.pk: [os.getpid()]}, [], None)
    assert len(read_system(run)) == rows
    system.tick({}, [], None)
    assert not system._before


def test_sampling_can_be_turned_off_and_energy_is_counted_all_the_same(run: Run) -> None:
    lease = make_lease(run, make_gpu(run.node))
    meter = EnergyMeter()
    meter.unwritten[lease.pk] = 2.0
    system = SystemSampler(0, meter)
    for _ in range(2):
        system._next_at = 0
        system.tick({run.pk: [os.getpid()]}, [], None)
    assert not MetricGroup.objects.exists()
    lease.refresh_from_db()
    assert lease.energy_wh == 2.0
