"""What is read from devices: plain facts, units in the names, None where the driver cannot say."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class GpuInfo:
    """What does not change while the driver is loaded. `memory_mib` is what programs can allocate."""

    uuid: str
    index: int
    name: str
    memory_mib: int
    is_simulated: bool = False


@dataclass(frozen=True, slots=True)
class GpuSample:
    """One look at a device. `energy_mj` counts up from the last load of the driver.

    `power_limit_w` is the one that is enforced; `performance_state` P0 (fastest) to P15.
    """

    used_memory_mib: int | None = None
    utilization_percent: float | None = None
    temperature_c: float | None = None
    power_w: float | None = None
    memory_utilization_percent: float | None = None
    power_limit_w: float | None = None
    sm_clock_mhz: float | None = None
    memory_clock_mhz: float | None = None
    performance_state: str | None = None
    fan_speed_percent: float | None = None
    energy_mj: int | None = None


@dataclass(frozen=True, slots=True)
class GpuProcess:
    """A process with a context on a device; `pid` as the driver names it, which is the host's view."""

    pid: int
    used_memory_mib: int | None = None
    is_compute: bool = True
    """False for a display server and the like, which only draws."""


class Reader(Protocol):
    """Looks at the devices of this machine. For the process that opened it only, never across a fork."""

    def devices(self) -> list[GpuInfo]:
        """Devices that answer now, by index; empty without driver or device."""

    def known_uuids(self) -> frozenset[str]:
        """Devices this reader has ever listed, also those that are gone by now."""

    def sample(self, uuid: str) -> GpuSample | None:
        """One look at a device; None when it is gone."""

    def processes(self, uuid: str) -> list[GpuProcess] | None:
        """Who uses the device, each pid once; None when the driver cannot say or the device is gone."""

    def driver_version(self) -> str:
        """Empty without driver."""

    def close(self) -> None: ...


class AbsentReader:
    """The reader of a machine without driver: no devices. `reason` says what the driver library answered."""

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def devices(self) -> list[GpuInfo]:
        return []

    def known_uuids(self) -> frozenset[str]:
        return frozenset()

    def sample(self, uuid: str) -> GpuSample | None:
        return None

    def processes(self, uuid: str) -> list[GpuProcess] | None:
        return None

    def driver_version(self) -> str:
        return ""

    def close(self) -> None:
        """Nothing is held."""
