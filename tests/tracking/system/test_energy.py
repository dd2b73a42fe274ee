"""Energy of leases: by the device's counter, by power, shared, and over a restart of the agent."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gpus.readings import GpuSample
from gpus.telemetry import Look
from tests.make import make_gpu, make_lease, make_node, make_run
from training.models import Lease
from training.tracking.system import EnergyMeter, HeldLease, held_leases

START = datetime(2026, 1, 1, tzinfo=UTC)


def lease(pk: int = 1, uuid: str = "GPU-a", **fields: Any) -> HeldLease:
    usual = {"run_id": f"run{pk}", "index": 0, "memory_mib": 1, "is_exclusive": True, "energy_wh": 0.0}
    return HeldLease(pk=pk, uuid=uuid, **{**usual, "energy_counter_mj": None, **fields})


def look(second: float, uuid: str = "GPU-a", **sample: Any) -> Look:
    return Look(START + timedelta(seconds=second), {uuid: (GpuSample(**sample) if sample else None, [])})


def test_the_counter_of_the_device_is_followed() -> None:
    meter = EnergyMeter()
    for second, counter in enumerate([5_000_000, 8_600_000, 12_200_000]):
        meter.take(look(second, energy_mj=counter, power_w=9.0), [lease()])
    assert meter.unwritten == {1: pytest.approx(2.0)}


def test_a_counter_that_begins_anew_counts_from_there() -> None:
    meter = EnergyMeter()
    for second, counter in enumerate([3_600_000, 7_200_000, 0, 3_600_000]):
        meter.take(look(second, energy_mj=counter), [lease()])
    assert meter.unwritten[1] == pytest.approx(2.0)


def test_without_a_counter_it_is_power_over_time() -> None:
    meter = EnergyMeter()
    for second, power_w in enumerate([100.0, 300.0, 300.0]):
        meter.take(look(second, power_w=power_w), [lease()])
    assert meter.unwritten[1] == pytest.approx((200 + 300) / 3600)


@pytest.mark.parametrize("second", [60, -5, 0])
def test_power_says_nothing_of_a_gap_or_a_clock_that_was_set(second: float) -> None:
    meter = EnergyMeter()
    meter.take(look(0, power_w=100.0), [lease()])
    meter.take(look(second, power_w=100.0), [lease()])
    assert meter.unwritten[1] == 0


def test_runs_that_share_a_device_share_its_energy() -> None:
    meter = EnergyMeter()
    meter.take(look(0, energy_mj=0), [lease(1), lease(2)])
    meter.take(look(1, energy_mj=7_200_000), [lease(1), lease(2)])
    meter.take(look(2, energy_mj=10_800_000), [lease(2)])
    assert meter.unwritten == {1: pytest.approx(1.0), 2: pytest.approx(2.0)}


def test_what_a_device_used_without_a_lease_is_nobodys() -> None:
    meter = EnergyMeter()
    meter.take(look(0, energy_mj=0), [])
    meter.take(look(1, energy_mj=3_600_000), [])
    meter.take(look(2, energy_mj=3_600_000), [lease()])
    assert meter.unwritten == {1: 0.0}


def test_a_device_that_is_gone_or_says_nothing_uses_nothing() -> None:
    meter = EnergyMeter()
    for second, sample in enumerate([{"power_w": 1.0}, {}, {"power_w": 1.0}, {"used_memory_mib": 1}]):
        meter.take(look(second, **sample), [lease()])
    assert meter.unwritten == {1: 0.0}


def test_an_agent_that_begins_anew_goes_on_from_the_counter_that_was_written() -> None:
    meter = EnergyMeter()
    meter.take(look(600, energy_mj=7_200_000), [lease(energy_wh=5.0, energy_counter_mj=3_600_000)])
    assert meter.unwritten[1] == pytest.approx(1.0)
    assert meter.total_wh(lease(energy_wh=5.0)) == pytest.approx(6.0)


@pytest.mark.django_db
def test_it_is_written_with_the_counter_and_only_once(django_assert_num_queries: Any) -> None:
    node = make_node()
    kept, ended = (make_lease(make_run(node=node), make_gpu(node, uuid=f"GPU-{name}")) for name in "ab")
    meter, leases = EnergyMeter(), held_leases(node)
    seen = {it.uuid: it for it in leases}
    for second in (0, 1):
        for uuid in seen:
            meter.take(look(second, uuid, energy_mj=3_600_000 * second), leases)
    meter.write(keep=frozenset({kept.pk}))
    assert [Lease.objects.get(pk=it.pk).energy_wh for it in (kept, ended)] == [0.0, pytest.approx(1.0)]
    assert Lease.objects.get(pk=ended.pk).energy_counter_mj == 3_600_000
    meter.write()
    meter.write()
    assert Lease.objects.get(pk=kept.pk).energy_wh == pytest.approx(1.0)
    with django_assert_num_queries(0):
        meter.write()
