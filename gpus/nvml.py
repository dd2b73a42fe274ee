"""The one gate to NVML, the driver's own library; nothing else imports pynvml.

Lists physical devices only: the instances of a GPU in MIG mode are not devices of their own here.
Used memory needs driver 510 or newer: nvmlDeviceGetMemoryInfo_v2 tells the driver's own share apart.
Reference of every call: https://docs.nvidia.com/deploy/nvml-api/
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import pynvml
from django.conf import settings

from gpus.readings import AbsentReader, GpuInfo, GpuProcess, GpuSample, Reader
from gpus.simulated import SimulatedReader

__all__ = [
    "AbsentReader",
    "GpuInfo",
    "GpuProcess",
    "GpuSample",
    "NvmlReader",
    "Reader",
    "open_reader",
]

MIB = 1024**2
GONE = (
    pynvml.NVMLError_GpuIsLost,
    pynvml.NVMLError_GpuNotFound,
    pynvml.NVMLError_NotFound,
    pynvml.NVMLError_ResetRequired,
    pynvml.NVMLError_DriverNotLoaded,
    pynvml.NVMLError_Uninitialized,
)

T = TypeVar("T")


def open_reader() -> Reader:
    """The simulated devices of MLSERVER_SIMULATED_GPUS, else the driver's, else a reader without devices.

    Call it in the process that will use it: NVML must not be open when a process forks.
    """
    count, memory_mib = settings.SIMULATED_GPUS
    if count:
        return SimulatedReader(count, memory_mib, settings.MLSERVER_HOME / "simulated_gpus.json")
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return AbsentReader(str(error))
    return NvmlReader()


class NvmlReader:
    """Reads the driver; expects an initialised NVML and ends it on `close`."""

    def __init__(self) -> None:
        self._handles: dict[str, Any] = {}

    def devices(self) -> list[GpuInfo]:
        """A device that is lost, or that this user may not open, is left out; the others keep their index."""
        count = _ask(pynvml.nvmlDeviceGetCount) or 0
        found = (self._device(index) for index in range(count))
        return [device for device in found if device is not None]

    def known_uuids(self) -> frozenset[str]:
        if not self._handles:
            self.devices()
        return frozenset(self._handles)

    def sample(self, uuid: str) -> GpuSample | None:
        try:
            handle = self._handle(uuid)
            power_mw = _ask(pynvml.nvmlDeviceGetPowerUsage, handle)
            limit_mw = _ask(pynvml.nvmlDeviceGetEnforcedPowerLimit, handle)
            utilization = _ask(pynvml.nvmlDeviceGetUtilizationRates, handle)
            return GpuSample(
                used_memory_mib=_used_memory_mib(handle),
                utilization_percent=None if utilization is None else float(utilization.gpu),
                temperature_c=_temperature_c(handle),
                power_w=None if power_mw is None else power_mw / 1000,
                memory_utilization_percent=None if utilization is None else float(utilization.memory),
                power_limit_w=None if limit_mw is None else limit_mw / 1000,
                sm_clock_mhz=_number(pynvml.nvmlDeviceGetClockInfo, handle, pynvml.NVML_CLOCK_SM),
                memory_clock_mhz=_number(pynvml.nvmlDeviceGetClockInfo, handle, pynvml.NVML_CLOCK_MEM),
                performance_state=_performance_state(handle),
                fan_speed_percent=_number(pynvml.nvmlDeviceGetFanSpeed, handle),
                energy_mj=_ask(pynvml.nvmlDeviceGetTotalEnergyConsumption, handle),
            )
        except GONE:
            return None

    def processes(self, uuid: str) -> list[GpuProcess] | None:
        """Compute, graphics and MPS clients; a process on several lists is named once."""
        try:
            handle = self._handle(uuid)
            compute = _ask(pynvml.nvmlDeviceGetComputeRunningProcesses, handle)
            graphics = _ask(pynvml.nvmlDeviceGetGraphicsRunningProcesses, handle)
            clients = _ask(pynvml.nvmlDeviceGetMPSComputeRunningProcesses, handle)
        except GONE:
            return None
        return None if compute is None else _merged([*compute, *(clients or [])], graphics or [])

    def driver_version(self) -> str:
        return _text(_ask(pynvml.nvmlSystemGetDriverVersion) or "")

    def close(self) -> None:
        self._handles.clear()
        _ask(pynvml.nvmlShutdown)

    def _device(self, index: int) -> GpuInfo | None:
        try:
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            uuid = _text(pynvml.nvmlDeviceGetUUID(handle))
        except pynvml.NVMLError:  # lost, or not ours to open: not a device we could place anything on
            return None
        self._handles[uuid] = handle
        try:
            name, memory_mib = _text(_ask(pynvml.nvmlDeviceGetName, handle) or ""), _memory_mib(handle)
        except GONE:
            return None
        return GpuInfo(uuid=uuid, index=index, name=name, memory_mib=memory_mib)

    def _handle(self, uuid: str) -> Any:
        if uuid not in self._handles:
            self._handles[uuid] = pynvml.nvmlDeviceGetHandleByUUID(uuid)
        return self._handles[uuid]


def _ask(call: Callable[..., T], *arguments: Any) -> T | None:
    """One value; None when the driver cannot or may not say. Lets the errors of a lost device through."""
    try:
        return call(*arguments)
    except GONE:
        if not arguments:  # asked about the driver, not about a device
            return None
        raise
    except pynvml.NVMLError:
        return None


def _memory_mib(handle: Any) -> int:
    """Memory that programs can allocate: all of it less the driver's and firmware's share; 0 when unknown."""
    memory = _ask(pynvml.nvmlDeviceGetMemoryInfo, handle, pynvml.nvmlMemory_v2)
    if memory is not None:
        return int(memory.total - memory.reserved) // MIB
    older = _ask(pynvml.nvmlDeviceGetMemoryInfo, handle)
    return 0 if older is None else int(older.total) // MIB


def _used_memory_mib(handle: Any) -> int | None:
    """What programs hold.

    Taken from `free`, because the documents of different driver releases disagree whether the `used` of
    version 2 includes `reserved`. Version 1 always includes it, hundreds of MiB on an idle device, so it cannot
    say whether a device is idle and is not asked.
    """
    memory = _ask(pynvml.nvmlDeviceGetMemoryInfo, handle, pynvml.nvmlMemory_v2)
    return None if memory is None else max(0, int(memory.total - memory.reserved - memory.free)) // MIB


def _temperature_c(handle: Any) -> float | None:
    """Drivers before 570 know only the older of the two calls, drivers to come only the newer."""
    for call in (pynvml.nvmlDeviceGetTemperatureV, pynvml.nvmlDeviceGetTemperature):
        value = _ask(call, handle, pynvml.NVML_TEMPERATURE_GPU)
        if value is not None:
            return float(value)
    return None


def _number(call: Callable[..., int], *arguments: Any) -> float | None:
    value = _ask(call, *arguments)
    return None if value is None else float(value)


def _performance_state(handle: Any) -> str | None:
    state = _ask(pynvml.nvmlDeviceGetPerformanceState, handle)
    return None if state is None or state == pynvml.NVML_PSTATE_UNKNOWN else f"P{state}"


def _merged(computing: Sequence[Any], drawing: Iterable[Any]) -> list[GpuProcess]:
    """Each pid once, with the largest amount any list gives: the lists count the same memory."""
    memory: dict[int, int | None] = {}
    computes = {process.pid for process in computing}
    for process in [*computing, *drawing]:
        used = None if process.usedGpuMemory is None else int(process.usedGpuMemory) // MIB
        known = memory.get(process.pid)
        memory[process.pid] = used if known is None else max(known, used or 0)
    return [GpuProcess(pid, used, is_compute=pid in computes) for pid, used in sorted(memory.items())]


def _text(value: str | bytes) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value
