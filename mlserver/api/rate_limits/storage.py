"""rate_limits.json of the home; without it the table of the API document holds."""

import os
from pathlib import Path

import orjson
from django.conf import settings

from mlserver.api.rate_limits.model import BadRateLimits, RateLimits

MOST_BYTES = 1024**2


def rate_limits_file() -> Path:
    home: Path = settings.MLSERVER_HOME
    return home / "rate_limits.json"


def load(path: Path | None = None) -> RateLimits:
    """What holds after the next start. Raises BadRateLimits for a file that cannot be read, or is refused."""
    try:
        with (path or rate_limits_file()).open("rb") as file:
            text = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        return RateLimits()
    except OSError as error:
        raise BadRateLimits([f"it cannot be read: {error.strerror}"]) from error
    if len(text) > MOST_BYTES:
        raise BadRateLimits([f"it is larger than {MOST_BYTES} bytes"])
    try:
        data = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadRateLimits([f"it is not JSON: {error}"]) from error
    return RateLimits.of(data)


def save(limits: RateLimits, path: Path | None = None) -> None:
    """Raises BadRateLimits, and nothing is written, for limits that `load` would refuse."""
    data = limits.as_json()
    RateLimits.of(data)
    path = path or rate_limits_file()
    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        temporary.write_bytes(orjson.dumps(data, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def remove(path: Path | None = None) -> None:
    """Back to the table of the API document."""
    (path or rate_limits_file()).unlink(missing_ok=True)
