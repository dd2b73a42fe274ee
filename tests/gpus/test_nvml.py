"""The gate to NVML: absent values are None, lost devices are gone, no driver is no device."""

from pathlib import Path

import pynvml
import pytest

from gpus import nvml
from gpus.nvml import AbsentReader, GpuInfo, GpuProcess, GpuSample, NvmlReader, open_reader
from gpus.simulated import SimulatedReader
from tests.gpus.fake_nvml import FakeDevice, FakeNvml

UNSUPPORTED = pynvml.NVML_ERROR_NOT_SUPPORTED
FIELDS = {
    "memory": "used_memory_mib",
    "power": "power_w",
    "power_limit": "power_limit_w",
    "sm_clock": "sm_clock_mhz",
    "memory_clock": "memory_clock_mhz",
    "performance_state": "performance_state",
    "fan": "fan_speed_percent",
    "energy": "energy_mj",
}
REASONS = [
    pynvml.NVML_ERROR_NOT_SUPPORTED,
    pynvml.NVML_ERROR_NO_PERMISSION,
    pynvml.NVML_ERROR_FUNCTION_NOT_FOUND,
    pynvml.NVML_ERROR_UNKNOWN,
    pynvml.NVML_ERROR_TIMEOUT,
]


@pytest.fixture(autouse=True)
def _no_simulation(settings):
    settings.SIMULATED_GPUS = (0, 0)


def reader_of(monkeypatch, *devices: FakeDevice) -> NvmlReader:
    monkeypatch.setattr(nvml, "pynvml", FakeNvml(*devices))
    return NvmlReader()


def test_it_lists_devices_with_the_memory_programs_can_allocate(monkeypatch):
    reader = reader_of(monkeypatch, FakeDevice("GPU-a"), FakeDevice("GPU-b"))

    assert reader.devices() == [
        GpuInfo("GPU-a", 0, "Fake 4090", 24064),
        GpuInfo("GPU-b", 1, "Fake 4090", 24064),
    ]
    assert reader.known_uuids() == {"GPU-a", "GPU-b"}
    assert reader.driver_version() == "580.65.06"


def test_it_reads_a_sample_in_the_units_of_the_field_names(monkeypatch):
    device = FakeDevice("GPU-a")
    device.free_mib = 20000

    assert reader_of(monkeypatch, device).sample("GPU-a") == GpuSample(
        used_memory_mib=4064,
        utilization_percent=73.0,
        temperature_c=61.0,
        power_w=123.456,
        memory_utilization_percent=20.0,
        power_limit_w=450.0,
        sm_clock_mhz=2520.0,
        memory_clock_mhz=10501.0,
        performance_state="P2",
        fan_speed_percent=35.0,
        energy_mj=987654321,
    )


def test_it_does_not_count_what_the_driver_reserves_as_used(monkeypatch):
    sample = reader_of(monkeypatch, FakeDevice("GPU-a")).sample("GPU-a")

    assert sample is not None and sample.used_memory_mib == 0


@pytest.mark.parametrize("code", REASONS)
@pytest.mark.parametrize(("call", "field"), FIELDS.items())
def test_it_answers_none_for_each_field_the_driver_cannot_say(monkeypatch, call, field, code):
    sample = reader_of(monkeypatch, FakeDevice("GPU-a", **{call: code})).sample("GPU-a")

    assert sample is not None
    absent = {name for name in GpuSample.__slots__ if getattr(sample, name) is None}
    assert absent == {field}


def test_it_answers_none_for_both_loads_the_driver_cannot_say(monkeypatch):
    sample = reader_of(monkeypatch, FakeDevice("GPU-a", utilization=UNSUPPORTED)).sample("GPU-a")

    assert sample is not None and (sample.utilization_percent, sample.memory_utilization_percent) == (None, None)
    assert sample.power_w is not None


def test_it_knows_no_name_for_an_unknown_performance_state(monkeypatch):
    device = FakeDevice("GPU-a")
    device.performance_state = pynvml.NVML_PSTATE_UNKNOWN
    sample = reader_of(monkeypatch, device).sample("GPU-a")

    assert sample is not None and sample.performance_state is None


def test_it_asks_older_drivers_for_the_temperature_the_older_way(monkeypatch):
    device = FakeDevice("GPU-a", temperature=pynvml.NVML_ERROR_FUNCTION_NOT_FOUND)
    sample = reader_of(monkeypatch, device).sample("GPU-a")

    assert sample is not None and sample.temperature_c == 60


def test_it_answers_none_when_no_temperature_is_supported(monkeypatch):
    device = FakeDevice("GPU-a", temperature=UNSUPPORTED, temperature_old=UNSUPPORTED)
    sample = reader_of(monkeypatch, device).sample("GPU-a")

    assert sample is not None and sample.temperature_c is None


def test_it_knows_a_device_that_supports_nothing_at_all(monkeypatch):
    calls = [
        *FIELDS,
        "utilization",
        "memory_v1",
        "temperature",
        "temperature_old",
        "name",
        "compute",
        "graphics",
        "clients",
    ]
    reader = reader_of(monkeypatch, FakeDevice("GPU-a", **dict.fromkeys(calls, UNSUPPORTED)))

    assert reader.devices() == [GpuInfo("GPU-a", 0, "", 0)]
    assert reader.sample("GPU-a") == GpuSample()
    assert reader.processes("GPU-a") is None


def test_it_takes_total_memory_from_the_older_call_of_older_drivers(monkeypatch):
    device = FakeDevice("GPU-a", memory=pynvml.NVML_ERROR_FUNCTION_NOT_FOUND)

    assert reader_of(monkeypatch, device).devices()[0].memory_mib == 24576


def test_it_names_a_process_once_with_its_largest_amount(monkeypatch):
    device = FakeDevice("GPU-a")
    device.compute = [(30, 100), (10, None)]
    device.graphics = [(30, 120), (20, 5)]
    device.clients = [(10, 7)]

    assert reader_of(monkeypatch, device).processes("GPU-a") == [
        GpuProcess(10, 7),
        GpuProcess(20, 5, is_compute=False),
        GpuProcess(30, 120),
    ]


def test_it_lists_compute_processes_when_the_other_lists_are_not_supported(monkeypatch):
    device = FakeDevice("GPU-a", graphics=UNSUPPORTED, clients=UNSUPPORTED)
    device.compute = [(10, None)]

    assert reader_of(monkeypatch, device).processes("GPU-a") == [GpuProcess(10, None)]


def test_it_takes_a_lost_device_for_gone_and_finds_it_again(monkeypatch):
    first, second = FakeDevice("GPU-a"), FakeDevice("GPU-b")
    reader = reader_of(monkeypatch, first, second)
    reader.devices()
    first.lost = True

    assert [device.index for device in reader.devices()] == [1]
    assert reader.sample("GPU-a") is None
    assert reader.processes("GPU-a") is None
    assert "GPU-a" in reader.known_uuids()

    first.lost = False
    assert reader.sample("GPU-a") is not None


def test_it_takes_an_unknown_uuid_for_gone(monkeypatch):
    assert reader_of(monkeypatch, FakeDevice("GPU-a")).sample("GPU-elsewhere") is None


def test_it_leaves_out_a_device_it_may_not_open(monkeypatch):
    closed = FakeDevice("GPU-a", handle=pynvml.NVML_ERROR_NO_PERMISSION)

    assert [device.uuid for device in reader_of(monkeypatch, closed, FakeDevice("GPU-b")).devices()] == ["GPU-b"]


@pytest.mark.parametrize("code", [pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, pynvml.NVML_ERROR_DRIVER_NOT_LOADED])
def test_it_opens_an_empty_reader_when_there_is_no_driver(monkeypatch, code):
    monkeypatch.setattr(nvml, "pynvml", FakeNvml(init_error=code))
    reader = open_reader()

    assert isinstance(reader, AbsentReader) and reader.reason
    assert reader.devices() == [] and reader.known_uuids() == frozenset()
    assert reader.sample("GPU-a") is None and reader.processes("GPU-a") is None
    assert reader.driver_version() == ""
    reader.close()


def test_it_ends_nvml_when_closed(monkeypatch):
    fake = FakeNvml(FakeDevice("GPU-a"))
    monkeypatch.setattr(nvml, "pynvml", fake)
    reader = open_reader()
    reader.close()

    assert isinstance(reader, NvmlReader) and fake.shutdowns == 1


def test_it_opens_simulated_devices_when_the_settings_say_so(settings):
    settings.SIMULATED_GPUS = (2, 24576)

    assert isinstance(open_reader(), SimulatedReader)


def test_it_is_the_only_importer_of_pynvml():
    root = Path(nvml.__file__).parent.parent
    sources = [path for name in ("gpus", "training", "mlserver") for path in (root / name).rglob("*.py")]
    importers = [path.relative_to(root).as_posix() for path in sources if "import pynvml" in path.read_text()]

    assert importers == ["gpus/nvml.py"]
