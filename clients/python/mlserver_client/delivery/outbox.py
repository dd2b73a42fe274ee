"""What of one run's directory a server does not have yet, and sending it in the order it happened."""

import contextlib
import datetime
import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mlserver_client import process
from mlserver_client.delivery.journal import Batch, Journal
from mlserver_client.delivery.multipart import multipart
from mlserver_client.delivery.stretches import AT_ONCE_BYTES, AT_ONCE_LINES, end_of_stretch, images_in, read, size_of
from mlserver_client.delivery.wire import Answer, Later, Refusal, Wire, said_by
from mlserver_client.files import read_json
from mlserver_client.warn import warn_once

NDJSON = "application/x-ndjson"
# The words of the native API for those of the tracking library.
STATUSES = {"finished": "finished", "failed": "failed", "interrupted": "stopped"}


@dataclass(frozen=True)
class Left:
    """Bytes of the spool and of the log that the server does not have, and whether it knows that the run has ended."""

    metrics_bytes: int
    log_bytes: int
    is_end_unsaid: bool

    def __bool__(self) -> bool:
        return bool(self.metrics_bytes or self.log_bytes or self.is_end_unsaid)

    def __str__(self) -> str:
        said = [
            f"{self.metrics_bytes:,} bytes of metrics" if self.metrics_bytes else "",
            f"{self.log_bytes:,} bytes of log" if self.log_bytes else "",
            "its end" if self.is_end_unsaid else "",
        ]
        return ", ".join(filter(None, said)) or "nothing"


class Outbox:
    """One thread of one process at a time. Every method that sends raises Later or Refusal of `wire`, or OSError."""

    def __init__(self, run_dir: Path, wire: Wire, *, is_living: bool = False) -> None:
        """`is_living`: the run goes on in this very process, and ends with it."""
        self.run_dir = run_dir
        self._events, self._log = run_dir / "events.jsonl", run_dir / "logs.txt"
        self._wire = wire
        self._journal = Journal(run_dir)
        self._meta = read_json(run_dir / "meta.json")
        self._path = f"/api/v1/runs/{quote(str(self._meta.get('id') or run_dir.name))}"
        self._most_lines = AT_ONCE_LINES
        self._begun_again = 0
        self._has_log = True
        self._is_living = is_living
        # States of the small files that the server has.
        self._known: dict[str, tuple[int, ...]] = {}
        # A process that takes a run up again says so first.
        self._has_begun = self._journal.has_begun and not is_living

    def left(self) -> Left:
        status = read_json(self.run_dir / "status.json").get("status")
        start = self._journal.start
        has_lines = size_of(self._events) > start and end_of_stretch(self._events, start) > start
        return Left(
            metrics_bytes=size_of(self._events) - start if has_lines else 0,
            log_bytes=max(0, size_of(self._log) - self._journal.log_offset) if self._has_log else 0,
            is_end_unsaid=status in STATUSES and not self._journal.is_finished,
        )

    def is_over(self) -> bool:
        """Has the run ended, and the server been told?"""
        return self._journal.is_finished and not self.left()

    def advance(self) -> bool:
        """Send one piece; False when the server has everything that there is."""
        if not self._has_begun:
            if self.is_over():  # by another rank: it must not be opened again for nothing
                return False
            self._begin()
            return True
        steps: tuple[Callable[[], bool], ...] = (
            self._send_batch, self._send_log, self._send_environment, self._send_summary, self._finish,
        )  # fmt: skip
        return any(step() for step in steps)

    def beat(self) -> None:
        """Tell the server that the run is alive."""
        self._wire.send_json("POST", f"{self._path}/heartbeat", {})

    def _begin(self) -> None:
        names = {"id": self._meta.get("id") or self.run_dir.name}
        names |= {name: self._meta[name] for name in ("project", "name") if self._meta.get(name)}
        about = {"host": self._meta.get("hostname"), "started_at": iso(self._meta.get("created_at")), **self._process()}
        names |= {name: value for name, value in about.items() if value is not None}
        answer = self._wire.send_json("POST", "/api/v1/runs", {**names, "resume": True})
        if answer.status != 409:  # 409: of two ranks that begin it at once the other was first
            self._expect(answer, 200, 201)
            if not self._journal.has_begun:
                self._journal.move_to(answer.number("next_seq") or 0)
        if not self._journal.has_begun:
            self._journal.note_begun()
        self._has_begun = True
        self._journal.is_finished = False  # said once more when all is sent: a run that was resumed has not ended

    def _process(self) -> dict[str, Any]:
        """Whose end is the end of the run: ours, or that which made it, if it is not known to be gone."""
        if self._is_living:
            return process.this_process()
        names = ("pid", "start_ticks", "boot_id", "pid_namespace")
        return {} if process.is_gone(self._meta) else {name: self._meta.get(name) for name in names}

    def _send_batch(self) -> bool:
        batch, is_new = self._journal.next_batch(), False
        if batch is None:
            end = self._end_of_next()
            if end <= self._journal.start:
                return False
            batch, is_new = self._journal.note_batch(end), True
        content = read(self._events, batch.start, batch.end)
        self._send_images(content)
        answer = self._wire.send("POST", f"{self._path}/metrics?seq={batch.seq}", content, type=NDJSON)
        if answer.status == 409:
            self._journal.move_to(self._expected(answer, batch.seq, "next_seq", "expected_seq", "expected", "seq"))
        elif answer.status == 404:
            self._begin_again(answer)
        elif answer.status in (400, 413, 422):
            self._send_less(batch, content, answer)
        else:
            self._expect(answer, 200, 201, 202)
            self._taken(batch, answer, is_new=is_new)
        return True

    def _end_of_next(self) -> int:
        start = self._journal.start
        return end_of_stretch(self._events, start, most_lines=self._most_lines) if size_of(self._events) > start else 0

    def _taken(self, batch: Batch, answer: Answer, *, is_new: bool) -> None:
        self._begun_again, self._most_lines = 0, min(AT_ONCE_LINES, self._most_lines * 2)
        wanted = answer.number("next_seq")
        if is_new and answer.body.get("duplicate") and wanted is not None:
            # Our notes were lost: rather twice (rows of one step are one row) than never.
            self._journal.move_to(wanted)
            return
        self._journal.confirm(batch)

    def _begin_again(self, answer: Answer) -> None:
        """The server does not know the run: its database was restored, or it is another server."""
        self._begun_again += 1
        if self._begun_again > 2:
            raise Refusal(answer.status, f"{said_by(answer)}; it was begun there, but takes no records")
        self._begin()
        self._journal.start_over()
        self._known.clear()
        self._has_log = True

    def _send_less(self, batch: Batch, content: bytes, answer: Answer) -> None:
        """The batch is refused: half of it next time; a single line that is refused is passed over."""
        lines = content.count(b"\n")
        if lines > 1:
            self._most_lines = lines // 2
            self._journal.note_batch(min(self._end_of_next(), batch.end))
            return
        warn_once(f"refused {self.run_dir}", f"the server refuses records of {self.run_dir}: {said_by(answer)}")
        self._journal.skip(batch)

    def _send_images(self, content: bytes) -> None:
        for image in images_in(content):
            path = self.run_dir / str(image.get("path"))
            if path.name in self._journal.media or path.parent != self.run_dir / "media":
                continue
            with contextlib.suppress(FileNotFoundError):
                fields = {name: image.get(name) for name in ("key", "step", "caption", "time")}
                type, body = multipart(fields, path.name, path.read_bytes())
                answer = self._wire.send("POST", f"{self._path}/media", body, type=type)
                if answer.status == 404:  # the run may be gone: what takes its records finds out
                    continue
                if answer.status not in (200, 201, 409):  # 409: it is there
                    warn_once(f"media {self.run_dir}", f"the server refuses {path}: {said_by(answer)}")
            self._journal.note_media(path.name)

    def _send_log(self) -> bool:
        start = self._journal.log_offset
        if not self._has_log or size_of(self._log) <= start:
            return False
        content = read(self._log, start, start + AT_ONCE_BYTES)
        answer = self._wire.send(
            "POST", f"{self._path}/logs", content, type="text/plain; charset=utf-8", Upload_Offset=str(start)
        )
        if answer.status == 409:
            wanted = self._expected(answer, start, "Upload-Offset", "offset", "expected_offset", "expected")
            if wanted > size_of(self._log):
                return self._give_up_log(f"it has {wanted} bytes of it already")
            self._journal.note_log(wanted)
        elif answer.status == 404:
            self._begin_again(answer)
        elif answer.status in (200, 201, 202, 204):
            self._journal.note_log(start + len(content))
        else:
            return self._give_up_log(said_by(answer))
        return True

    def _give_up_log(self, why: str) -> bool:
        self._has_log = False
        warn_once(f"log {self.run_dir}", f"the log {self._log} is not delivered: {why}")
        return False

    def _send_environment(self) -> bool:
        return self._send_file("environment")

    def _send_summary(self) -> bool:
        return self._send_file("summary")

    def _send_file(self, name: str) -> bool:
        """A small file, whenever it has changed."""
        path = self.run_dir / f"{name}.json"
        state = state_of(path)
        if state is None or state == self._known.get(name):  # a look at it is cheap, reading it is not
            return False
        content = finite(read_json(path))
        text = json.dumps(content, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        if not content or digest == self._journal.digests.get(name):
            self._known[name] = state
            return False
        answer = self._wire.send("PUT", f"{self._path}/{name}", text.encode())
        if answer.status == 404:
            self._begin_again(answer)
            return True
        if answer.status >= 400:
            warn_once(f"{name} {self.run_dir}", f"the server refuses the {name}: {said_by(answer)}")
        self._journal.note_file(name, digest)
        return True

    def _finish(self) -> bool:
        said = read_json(self.run_dir / "status.json")
        if said.get("status") not in STATUSES or self._journal.is_finished:
            return False
        ending = {
            "status": STATUSES[said["status"]],
            "ended_at": iso(said.get("ended_at")),
            "reason": said.get("exit_reason"),
        }
        body = {name: value for name, value in ending.items() if value is not None}
        answer = self._wire.send_json("POST", f"{self._path}/finish", body)
        if answer.status == 404:
            self._begin_again(answer)
            return True
        if answer.status != 409:  # 409: it has ended already
            self._expect(answer, 200, 202, 204)
        self._journal.note_finished()
        return True

    @staticmethod
    def _expect(answer: Answer, *statuses: int) -> None:
        if answer.status not in statuses:
            raise Refusal(answer.status, said_by(answer))

    @staticmethod
    def _expected(answer: Answer, sent: int, *names: str) -> int:
        found = answer.expected(*names)
        if found is None:
            raise Refusal(answer.status, said_by(answer))
        if found == sent:
            raise Later(f"409, but it expects what was sent: {said_by(answer)}", 5)
        return found


def state_of(path: Path) -> tuple[int, ...] | None:
    """Another one after each change: the file is replaced whole. None without it."""
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_ino, facts.st_size, facts.st_mtime_ns


def finite(value: Any) -> Any:
    """As strict JSON wants it: null for NaN and infinity."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {name: finite(one) for name, one in value.items()}
    return [finite(one) for one in value] if isinstance(value, list) else value


def iso(epoch_s: Any) -> str | None:
    if not isinstance(epoch_s, int | float):
        return None
    return datetime.datetime.fromtimestamp(epoch_s, datetime.timezone.utc).isoformat().replace("+00:00", "Z")
