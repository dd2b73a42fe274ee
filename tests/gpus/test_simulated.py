"""Simulated devices and the file that plays what happens on them."""

import json

import pytest

from gpus.nvml import GpuInfo, GpuProcess, GpuSample
from gpus.simulated import SimulatedReader


@pytest.fixture
def script(tmp_path):
    return tmp_path / "simulated_gpus.json"


@pytest.fixture
def reader(script):
    return SimulatedReader(2, 24576, script)


def test_it_lists_idle_devices_without_a_script(reader):
    assert reader.devices() == [
        GpuInfo("GPU-simulated-0", 0, "Simulated GPU", 24576, is_simulated=True),
        GpuInfo("GPU-simulated-1", 1, "Simulated GPU", 24576, is_simulated=True),
    ]
    assert reader.sample("GPU-simulated-0") == GpuSample(used_memory_mib=0, utilization_percent=0.0, power_w=50.0)
    assert reader.processes("GPU-simulated-0") == []


def test_it_plays_an_outsider_from_the_next_look_on(reader, script):
    reader.sample("GPU-simulated-1")
    script.write_text(json.dumps({"1": {"processes": [{"pid": 7, "used_memory_mib": 9000}]}}))

    assert reader.processes("GPU-simulated-1") == [GpuProcess(7, 9000)]
    assert reader.sample("GPU-simulated-1").used_memory_mib == 9000
    assert reader.sample("GPU-simulated-0").used_memory_mib == 0


def test_a_device_on_which_somebody_computes_is_busy_and_draws_power(reader, script):
    script.write_text(json.dumps({"0": {"processes": [{"pid": 7}]}, "1": {"utilization_percent": 50}}))

    assert [(it.utilization_percent, it.power_w) for it in map(reader.sample, sorted(reader.known_uuids()))] == [
        (90.0, 320.0),
        (50, 200.0),
    ]


def test_it_plays_given_values_and_unsupported_ones(reader, script):
    script.write_text(json.dumps({"0": {"used_memory_mib": None, "power_w": 250.5, "processes": None}}))

    assert reader.sample("GPU-simulated-0") == GpuSample(utilization_percent=0.0, power_w=250.5)
    assert reader.processes("GPU-simulated-0") is None


def test_it_plays_a_lost_device(reader, script):
    script.write_text(json.dumps({"0": {"missing": True}}))

    assert [device.index for device in reader.devices()] == [1]
    assert reader.sample("GPU-simulated-0") is None
    assert reader.processes("GPU-simulated-0") is None
    assert reader.known_uuids() == {"GPU-simulated-0", "GPU-simulated-1"}


@pytest.mark.parametrize("half_written", ["", '{"0": {', "[]", '{"0": 3}', '{"0": {"processes": [{}]}}'])
def test_it_keeps_the_last_good_words_of_a_half_written_script(reader, script, half_written):
    script.write_text(json.dumps({"0": {"used_memory_mib": 5000}}))
    reader.sample("GPU-simulated-0")
    script.write_text(half_written)

    assert reader.sample("GPU-simulated-0").used_memory_mib == 5000


def test_it_complains_of_a_bad_script_once_until_it_changes(reader, script, caplog):
    for words in ("[", "[", "[]", '{"0": {}}', "[]"):
        script.write_text(words)
        reader.sample("GPU-simulated-0")
        reader.devices()

    assert len(caplog.records) == 3


def test_it_is_idle_again_when_the_script_is_removed(reader, script):
    script.write_text(json.dumps({"0": {"used_memory_mib": 5000}}))
    reader.sample("GPU-simulated-0")
    script.unlink()

    assert reader.sample("GPU-simulated-0").used_memory_mib == 0


def test_it_knows_no_other_uuid(reader):
    assert reader.sample("GPU-real") is None
    assert reader.processes("GPU-simulated-2") is None
