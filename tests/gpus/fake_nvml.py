"""A driver for tests, in the place of `gpus.nvml.pynvml`: devices of plain numbers, errors of the real codes."""

from types import SimpleNamespace
from typing import Any

import pynvml

MIB = 1024**2


class FakeDevice:
    """An idle device of 24 GiB, 512 MiB of them the driver's; `broken` maps a call to the error code it answers."""

    def __init__(self, uuid: str, **broken: int) -> None:
        self.uuid = uuid
        self.broken = broken
        self.lost = False
        self.free_mib = 24064
        self.performance_state = 2
        self.compute: list[tuple[int, int | None]] = []
        self.graphics: list[tuple[int, int | None]] = []
        self.clients: list[tuple[int, int | None]] = []


class FakeNvml:
    """Only the calls the project makes; constants and error classes are the real module's."""

    def __init__(self, *devices: FakeDevice, init_error: int | None = None) -> None:
        self.devices = list(devices)
        self.init_error = init_error
        self.shutdowns = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(pynvml, name)

    def nvmlInit(self) -> None:
        if self.init_error is not None:
            raise pynvml.NVMLError(self.init_error)

    def nvmlShutdown(self) -> None:
        self.shutdowns += 1

    def nvmlSystemGetDriverVersion(self) -> str:
        return "580.65.06"

    def nvmlDeviceGetCount(self) -> int:
        return len(self.devices)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> FakeDevice:
        return self._answer(self.devices[index], "handle", self.devices[index])

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> FakeDevice:
        for device in self.devices:
            if device.uuid == uuid:
                return self._answer(device, "handle", device)
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)

    def nvmlDeviceGetUUID(self, device: FakeDevice) -> str:
        return self._answer(device, "uuid", device.uuid)

    def nvmlDeviceGetName(self, device: FakeDevice) -> str:
        return self._answer(device, "name", "Fake 4090")

    def nvmlDeviceGetMemoryInfo(self, device: FakeDevice, version: int | None = None) -> Any:
        total, reserved, free = 24576 * MIB, 512 * MIB, device.free_mib * MIB
        if version is None:
            return self._answer(device, "memory_v1", SimpleNamespace(total=total, free=free, used=total - free))
        # `used` is left out on purpose: driver releases disagree on what it includes.
        return self._answer(device, "memory", SimpleNamespace(total=total, free=free, reserved=reserved))

    def nvmlDeviceGetUtilizationRates(self, device: FakeDevice) -> Any:
        return self._answer(device, "utilization", SimpleNamespace(gpu=73, memory=20))

    def nvmlDeviceGetTemperatureV(self, device: FakeDevice, sensor: int) -> int:
        return self._answer(device, "temperature", 61)

    def nvmlDeviceGetTemperature(self, device: FakeDevice, sensor: int) -> int:
        return self._answer(device, "temperature_old", 60)

    def nvmlDeviceGetPowerUsage(self, device: FakeDevice) -> int:
        return self._answer(device, "power", 123456)

    def nvmlDeviceGetEnforcedPowerLimit(self, device: FakeDevice) -> int:
        return self._answer(device, "power_limit", 450000)

    def nvmlDeviceGetClockInfo(self, device: FakeDevice, clock: int) -> int:
        name, mhz = {pynvml.NVML_CLOCK_SM: ("sm_clock", 2520), pynvml.NVML_CLOCK_MEM: ("memory_clock", 10501)}[clock]
        return self._answer(device, name, mhz)

    def nvmlDeviceGetPerformanceState(self, device: FakeDevice) -> int:
        return self._answer(device, "performance_state", device.performance_state)

    def nvmlDeviceGetFanSpeed(self, device: FakeDevice) -> int:
        return self._answer(device, "fan", 35)

    def nvmlDeviceGetTotalEnergyConsumption(self, device: FakeDevice) -> int:
        return self._answer(device, "energy", 987654321)

    def nvmlDeviceGetComputeRunningProcesses(self, device: FakeDevice) -> list[Any]:
        return self._answer(device, "compute", _processes(device.compute))

    def nvmlDeviceGetGraphicsRunningProcesses(self, device: FakeDevice) -> list[Any]:
        return self._answer(device, "graphics", _processes(device.graphics))

    def nvmlDeviceGetMPSComputeRunningProcesses(self, device: FakeDevice) -> list[Any]:
        return self._answer(device, "clients", _processes(device.clients))

    def _answer(self, device: FakeDevice, call: str, value: Any) -> Any:
        if device.lost:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)
        if call in device.broken:
            raise pynvml.NVMLError(device.broken[call])
        return value


def _processes(listed: list[tuple[int, int | None]]) -> list[Any]:
    return [SimpleNamespace(pid=pid, usedGpuMemory=None if mib is None else mib * MIB) for pid, mib in listed]
