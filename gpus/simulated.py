"""Devices that do not exist, for development and tests: `MLSERVER_SIMULATED_GPUS=2x24576`.

`$MLSERVER_HOME/simulated_gpus.json` plays what happens on them, read again at each look:

    {"0": {"processes": [{"pid": 4711, "used_memory_mib": 9000}]}, "1": {"missing": true}}

Keys are indexes. A device may be given `used_memory_mib` (else the sum of its processes) and any other field of
SAMPLE_FIELDS too. Without a word of it, load is that of a busy device where somebody computes, and power follows load.
"""

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

from gpus.readings import GpuInfo, GpuProcess, GpuSample

log = logging.getLogger(__name__)

# Of a device on which somebody computes, and what it draws without and with full load.
BUSY_PERCENT, IDLE_W, FULL_W = 90.0, 50.0, 350.0
PREFIX = "GPU-simulated-"
SAMPLE_FIELDS = (
    "used_memory_mib", "utilization_percent", "temperature_c", "power_w", "memory_utilization_percent",
    "power_limit_w", "sm_clock_mhz", "memory_clock_mhz", "performance_state", "fan_speed_percent",
)  # fmt: skip


class SimulatedReader:
    """`count` devices of `memory_mib` each, idle unless the file at `script` says otherwise."""

    def __init__(self, count: int, memory_mib: int, script: Path) -> None:
        self._count = count
        self._memory_mib = memory_mib
        self._script = script
        self._played: dict[str, Any] = {}
        self._complained_of = ""

    def devices(self) -> list[GpuInfo]:
        return [self._info(index) for index in range(self._count) if not self._play(index).get("missing")]

    def known_uuids(self) -> frozenset[str]:
        return frozenset(f"{PREFIX}{index}" for index in range(self._count))

    def sample(self, uuid: str) -> GpuSample | None:
        played = self._play_of(uuid)
        if played is None:
            return None
        held = sum(process.used_memory_mib or 0 for process in _processes(played))
        busy = {"used_memory_mib": held, "utilization_percent": BUSY_PERCENT if _processes(played) else 0.0}
        given = {field: played[field] for field in SAMPLE_FIELDS if field in played}
        sample = GpuSample(**{**busy, **given})
        if "power_w" in given or sample.utilization_percent is None:
            return sample
        return replace(sample, power_w=IDLE_W + (FULL_W - IDLE_W) * sample.utilization_percent / 100)

    def processes(self, uuid: str) -> list[GpuProcess] | None:
        """`"processes": null` plays a driver that cannot say."""
        played = self._play_of(uuid)
        if played is None or played.get("processes", []) is None:
            return None
        return _processes(played)

    def driver_version(self) -> str:
        return "simulated"

    def close(self) -> None:
        """Nothing is held."""

    def _info(self, index: int) -> GpuInfo:
        return GpuInfo(f"{PREFIX}{index}", index, "Simulated GPU", self._memory_mib, is_simulated=True)

    def _complain(self, why: str, words: str) -> None:
        """Once for the same words: they are read several times a second."""
        complaint = f"{why}: {words}"
        if complaint != self._complained_of:
            self._complained_of = complaint
            log.warning("%s is ignored: %s", self._script, why)

    def _play_of(self, uuid: str) -> dict[str, Any] | None:
        """What the file says of a device; None when there is no such device or it plays missing."""
        if uuid not in self.known_uuids():
            return None
        played = self._play(int(uuid.removeprefix(PREFIX)))
        return None if played.get("missing") else played

    def _play(self, index: int) -> dict[str, Any]:
        words = ""
        try:
            words = self._script.read_text()
            self._played = _checked(json.loads(words))
            self._complained_of = ""
        except FileNotFoundError:
            self._played = {}
        except (OSError, ValueError) as error:  # an editor may be half way through: the last good words count
            self._complain(f"{error}", words)
        found: dict[str, Any] = self._played.get(str(index), {})
        return found


def _checked(played: Any) -> dict[str, Any]:
    """Raises ValueError for words that could not be played."""
    try:
        for values in played.values():
            _processes(values)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError("it must map each index to an object, with a pid for each process") from error
    checked: dict[str, Any] = played
    return checked


def _processes(played: dict[str, Any]) -> list[GpuProcess]:
    return [
        GpuProcess(int(each["pid"]), each.get("used_memory_mib"), is_compute=each.get("is_compute", True))
        for each in played.get("processes") or []
    ]
