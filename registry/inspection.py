"""What is in an uploaded file, found out by a process that may do nothing else and that a hostile file may ruin."""

import contextlib
import json
import logging
import os
import selectors
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from django.conf import settings

from mlserver.errors import BadRequest
from registry.datasets.facts import Facts
from registry.models import DatasetFormat, Target

log = logging.getLogger(__name__)

MODULE = "registry.datasets"
DEADLINE_S = 60
# What one second of the deadline is added for: files are read and counted at more than this; packed text may hold
# ten times its size.
BYTES_PER_S, PACKED_BYTES_PER_S = 20 * 1024**2, 2 * 1024**2
PACKED = (".gz", ".tgz", ".zip", ".npz")
MEMORY_BYTES = 2 * 1024**3
MOST_SAID_BYTES = 64 * 1024
MOST_COUNTED = 2**31 - 1
LONGEST_TEXT = 255
LONGEST_REASON = 2000
# One thread each: a pool of OpenBLAS reserves memory for every core of a large machine.
ENVIRONMENT = {"LANG": "C.UTF-8", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}


class Overrun(Exception):
    """The inspecting process took too long or said too much."""


def inspect(path: Path, file_name: str) -> Facts:
    """The facts of the dataset in `path`, whose sender calls it `file_name`.

    Waits for a child process, at most a minute and a second for each 20 MiB (2 MiB of a packed file): not for the event
    loop, and not inside a transaction. Raises BadRequest with the reason when it is no dataset or breaks a limit.
    """
    per_second = PACKED_BYTES_PER_S if file_name.lower().endswith(PACKED) else BYTES_PER_S
    allowed_s = DEADLINE_S + path.stat().st_size // per_second
    try:
        code, said = run(path, file_name, allowed_s)
    except Overrun as error:
        raise BadRequest(f"{file_name}: {error}") from error
    answer = last_object(said)
    if code == 0 and (facts := facts_of(answer)) is not None:
        return facts
    reason = answer.get("error")
    if code == 1 and isinstance(reason, str) and reason:
        raise BadRequest(printable(reason))
    log.warning("inspecting %r ended with status %s: %s", file_name, code, printable(said[-2000:]))
    raise BadRequest(f"{file_name}: {why_it_ended(code, said, allowed_s)}")


def run(path: Path, file_name: str, allowed_s: int) -> tuple[int, str]:
    """Exit status and what was said, both streams as they came. Raises Overrun; no process is left behind."""
    limits = [str(os.getpid()), str(allowed_s), str(MEMORY_BYTES)]
    command = [sys.executable, "-m", "registry.confined", *limits, MODULE, str(path), "--name", file_name]
    process = subprocess.Popen(
        command,
        cwd=settings.BASE_DIR,
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        said = read_until(process, time.monotonic() + allowed_s)
        return process.wait(timeout=allowed_s), said.decode(errors="replace")
    except subprocess.TimeoutExpired as error:
        raise Overrun(f"reading it takes more than {allowed_s} s") from error
    finally:
        end(process)


def read_until(process: "subprocess.Popen[bytes]", deadline: float) -> bytes:
    """All that the process says until it closes its streams."""
    assert process.stdout is not None
    said, started = bytearray(), time.monotonic()
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while len(said) <= MOST_SAID_BYTES:
            if not selector.select(max(deadline - time.monotonic(), 0)):
                raise Overrun(f"reading it takes more than {deadline - started:.0f} s")
            block = os.read(process.stdout.fileno(), MOST_SAID_BYTES)
            if not block:
                return bytes(said)
            said += block
    raise Overrun("it cannot be read: too much is wrong with it")


def end(process: "subprocess.Popen[bytes]") -> None:
    """With all it started, which share its session and so its group."""
    if process.returncode is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def last_object(said: str) -> dict[str, Any]:
    """The last line that is a JSON object: warnings of libraries may stand around it."""
    for line in reversed(said.splitlines()):
        with contextlib.suppress(ValueError, RecursionError):
            found = json.loads(line)
            if isinstance(found, dict):
                return found
    return {}


def why_it_ended(code: int, said: str, allowed_s: int) -> str:
    if code == -signal.SIGXCPU or code == -signal.SIGKILL:
        return f"reading it takes more than {allowed_s} s or more memory than there is"
    if "MemoryError" in said:
        return f"reading it takes more than {MEMORY_BYTES // 1024**2} MiB of memory"
    return "it cannot be read as images, CSV or NumPy arrays"


def facts_of(answer: dict[str, Any]) -> Facts | None:
    """None when a value is not what facts can be: the process read what a stranger wrote, and is not trusted."""
    shape, dimensions, classes = answer.get("input_shape"), answer.get("dimensions"), answer.get("class_count")
    reason, count = answer.get("untrainable_reason"), answer.get("sample_count")
    is_good = (
        answer.get("format") in DatasetFormat.values
        and answer.get("target") in ("", *Target.values)
        and is_count(count)
        and (classes is None or is_count(classes))
        and (dimensions is None or is_text(dimensions, LONGEST_TEXT))
        and is_text(reason, LONGEST_REASON)
        and isinstance(shape, list)
        and len(shape) <= 3
        and all(is_count(length) and length > 0 for length in shape)
    )
    if not is_good:
        return None
    return Facts(
        format=str(answer["format"]),
        sample_count=int(answer["sample_count"]),
        dimensions=dimensions,
        input_shape=tuple(answer["input_shape"]),
        target=str(answer["target"]),
        class_count=classes,
        untrainable_reason=str(reason),
    )


def is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_COUNTED


def is_text(value: object, longest: int) -> bool:
    return isinstance(value, str) and len(value) <= longest and "\x00" not in value


def printable(text: str) -> str:
    """On one line and without control characters: it goes into logs, terminals and answers."""
    return "".join(letter if letter.isprintable() else " " for letter in text[:LONGEST_REASON])
