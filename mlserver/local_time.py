"""The clock of this machine. Django sets the process to UTC, so the zone is read from the system."""

from datetime import datetime, tzinfo
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

LOCAL_ZONE = Path("/etc/localtime")


@cache
def local_zone() -> tzinfo:
    """UTC where the system does not say."""
    try:
        with LOCAL_ZONE.open("rb") as file:
            return ZoneInfo.from_file(file)
    except (OSError, ValueError):
        return ZoneInfo("UTC")


def local_time(instant: datetime) -> str:
    """`YYYY-MM-DD HH:MM:SS` on the clock of this machine."""
    return instant.astimezone(local_zone()).strftime("%Y-%m-%d %H:%M:%S")
