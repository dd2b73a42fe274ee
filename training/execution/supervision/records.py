"""Records in the control directory, and who a process is: small JSON files, each whole or absent."""

from __future__ import annotations

import os
import time
from _json import encode_basestring_ascii as quoted
from _json import make_scanner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

RESERVED_BYTES = 16384


class _Plain:
    """What the C scanner wants to know: plain JSON, nothing hooked."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float
    memo: dict[str, str] = {}


_scan = make_scanner(_Plain())  # type: ignore[arg-type]


def read_record(path: str) -> dict[str, Any]:
    """The object in `path`; raises OSError when it is absent and ValueError when it is not one JSON object."""
    with open(path, encoding="utf-8") as file:
        content = file.read()
    try:
        return parse(content)
    except ValueError as error:
        raise ValueError(f"{path} holds {error}") from error


def parse(content: str) -> dict[str, Any]:
    """The JSON object that `content` begins with; raises ValueError."""
    try:
        value, _ = _scan(content, 0)
    except StopIteration as error:
        raise ValueError("no JSON") from error
    if not isinstance(value, dict):
        raise ValueError("no JSON object")
    return value


def to_json(value: object) -> str:
    """JSON of the types that records hold."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return str(quoted(value))
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{quoted(str(name))}: {to_json(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(to_json(item) for item in value) + "]"
    raise TypeError(f"{type(value).__name__} is not a type of records")


def write_record(path: str, record: dict[str, Any]) -> None:
    """Write to a temporary name, then rename: a reader sees the old file, the new one, or none."""
    draft = f"{path}.{os.getpid()}"
    with open(draft, "w", encoding="utf-8") as file:
        file.write(to_json(record) + "\n")
    os.replace(draft, path)


def claim_record(path: str, record: dict[str, Any]) -> bool:
    """Like write_record, but only the first caller wins; False for all others."""
    draft = f"{path}.{os.getpid()}"
    with open(draft, "w", encoding="utf-8") as file:
        file.write(to_json(record) + "\n")
    try:
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        os.unlink(draft)
    return True


def reserve_record(path: str) -> None:
    """Take the room of a record now, so that it can be written later on a full disk."""
    with open(path, "w", encoding="utf-8") as file:
        file.write(" " * RESERVED_BYTES)


def write_reserved(reserve: str, path: str, record: dict[str, Any]) -> None:
    """Write `record` into the room of `reserve` and give it the name `path`."""
    content = to_json(record).encode()
    if len(content) > RESERVED_BYTES:
        content = to_json({**record, "error": str(record.get("error", ""))[:1000], "notes": []}).encode()
    # Not opened for truncation: that would give the room back.
    file = os.open(reserve, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.pwrite(file, content, 0)
        os.ftruncate(file, len(content))
    finally:
        os.close(file)
    os.rename(reserve, path)


def boot_id() -> str:
    """Changes with every boot of the machine (Linux random/boot_id)."""
    # Python starts with the codec of UTF-8 alone; any other, ASCII too, is a module to import.
    with open("/proc/sys/kernel/random/boot_id", encoding="utf-8") as file:
        return file.read().strip()


def read_stat(pid: int) -> tuple[str, int, int, int] | None:
    """(state, parent pid, session id, start time in clock ticks after boot) of a process; None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            content = file.read()
    except OSError:
        return None
    # The command name stands in parentheses and may hold anything, parentheses too: fields begin after the last one.
    fields = content[content.rfind(b")") + 2 :].split()
    return fields[0].decode(), int(fields[1]), int(fields[3]), int(fields[19])


def identity(pid: int) -> dict[str, Any]:
    """Who `pid` is, so that a later process with the same number is never taken for it."""
    stat = read_stat(pid)
    return {"pid": pid, "start_ticks": stat[3] if stat else 0, "boot_id": boot_id(), "started_at": time.time()}
