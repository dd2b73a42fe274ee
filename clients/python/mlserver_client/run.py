"""A run: what a training script says of itself, written to the run's directory."""

import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlserver_client import images, process
from mlserver_client.best import Best
from mlserver_client.delivery.target import Target
from mlserver_client.environment import Capture
from mlserver_client.files import change_json, read_json
from mlserver_client.forks import renew_after_fork
from mlserver_client.lines import RESERVED, image_line, metrics_line
from mlserver_client.monitoring import AnomalyDetector, Monitor
from mlserver_client.place import Place
from mlserver_client.spool import Spool, last_step
from mlserver_client.warn import warn_once

if TYPE_CHECKING:
    from mlserver_client.delivery.sender import Sender

STATUSES = ("finished", "failed", "interrupted")


class Run:
    """Made by `init`. Every method may be called from any thread and, after a fork, in the child.

    After `init` nothing raises into the training, save ValueError of `set_primary_metric`: what cannot be recorded is
    left out, with a warning of the logger `mlserver_client` the first time.
    """

    def __init__(self, place: Place, *, capture_env: bool, target: Target | None) -> None:
        """Raises OSError when the directory of a run outside the queue cannot be made."""
        self.id, self.project, self.name = place.id, place.project, place.name
        self.run_dir, self.storage_root = place.run_dir, place.storage_root
        self.media_dir = self.run_dir / "media"
        self.is_queued = place.is_queued
        self._step = self._last_step()
        self._best: Best | None = None
        self.monitor, self.anomaly_detector = Monitor(), AnomalyDetector()
        self._pid = os.getpid()
        # Of the thread that holds it already too: a signal's handler may log.
        self._lock = threading.RLock()
        self.status = "running"
        if not self.is_queued:
            self.run_dir.mkdir(parents=True, exist_ok=True)
        self._events = Spool(self.run_dir / "events.jsonl")
        # Of a queued run the supervisor writes logs.txt: what is said there goes through the standard output.
        self._log = None if self.is_queued else Spool(self.run_dir / "logs.txt")
        self._capture = self._describe(capture_env) if self._speaks_for_all() else None
        capture = self._capture
        first = (lambda: capture.wait(3.0)) if capture else (lambda: None)
        self._sender = new_sender(self.run_dir, target, first) if target else None
        renew_after_fork(self)

    def after_fork(self) -> None:
        self._lock = threading.RLock()

    def _speaks_for_all(self) -> bool:
        """Of several ranks that joined one run only the first writes the files about the run itself."""
        return not self.is_queued or os.environ.get("RANK", "0") == "0"

    def _last_step(self) -> int:
        """Where the counting of a run that is taken up again goes on; ranks of a living run count for themselves."""
        said = read_json(self.run_dir / "status.json").get("status")
        is_over = said in STATUSES or process.is_gone(read_json(self.run_dir / "meta.json"))
        return last_step(self.run_dir / "events.jsonl") if is_over and not self.is_queued else 0

    def _describe(self, capture_env: bool) -> Capture | None:
        now = time.time()
        meta = {
            "id": self.id, "project": self.project, "name": self.name, "created_at": now,
            **process.facts(), **process.this_process(), "storage_dir": str(self.storage_root),
        }  # fmt: skip
        self._change("meta.json", lambda old: {**old, **meta, "created_at": old.get("created_at", now)})
        self._change("status.json", lambda old: {"status": "running", "started_at": now, "ended_at": None})
        return Capture(self.run_dir / "environment.json") if capture_env else None

    def log(
        self,
        data: Mapping[str, Any] | None = None,
        *,
        step: int | None = None,
        stage: Any = None,
        **kwargs: Any,
    ) -> None:
        """Record numbers, texts and truths under their names, as one line that is in the file when this returns.

        `step` defaults to one more than the last; `global_step` and `time` (s since the epoch) are added.
        """
        try:
            values = data if type(data) is dict and not kwargs else {**dict(data or {}), **kwargs}
            if not RESERVED.isdisjoint(values):
                stage = values.get("stage") if stage is None else stage
                values = {name: value for name, value in values.items() if name not in RESERVED}
            with self._lock:
                number = self._step = self._step + 1 if step is None else self._step_from(step)
            line = metrics_line(values, number, time.time(), stage)
            self._say(line.encode(), self._events)
            # Looked for in the line, as text: in bytes it would take three times as long, of the values even more.
            if "NaN" in line or "Infinity" in line or self.anomaly_detector.bad or self.monitor.rules:
                self._alert(values, number)
            if self._best is not None and self._best.is_worth_a_look(values):
                self._judge(values, number)
        except Exception as error:  # noqa: BLE001 - supervision point: nothing here may end a training
            warn_once("log", f"log() could not record {type(data).__name__}: {type(error).__name__}: {error}"[:300])

    def _step_from(self, given: Any) -> int:
        try:
            return int(given)
        except (TypeError, ValueError, OverflowError):
            warn_once("step", f"step={given!r} is no whole number: counting on from {self._step}")
            return self._step + 1

    def _say(self, line: bytes, spool: Spool) -> None:
        if self.status != "running":
            warn_once(f"ended {self.id}", f"run {self.id} is {self.status}: what is logged after that is not kept")
            return
        spool.append(line)
        if self._sender is not None:
            self._sender.start()

    def _alert(self, values: Mapping[str, Any], step: int) -> None:
        with self._lock:
            said = [*self.anomaly_detector.check(values, step), *self.monitor.check(values, step)]
        for sentence in said:
            self.log_text(f"ALERT {sentence}")

    def _judge(self, values: Mapping[str, Any], step: int) -> None:
        with self._lock:
            update = self._best.take_summary() if self._best and self._best.look(values, step) else None
        if update:
            self.summary(update)

    def log_text(self, text: str) -> None:
        """Add `HH:MM:SS | text` to the log of the run; in a queued task it goes through the standard output."""
        try:
            line = f"{time.strftime('%H:%M:%S')} | {text}"
            if self._log is None:
                print(line, flush=True)
                return
            self._say(line.encode(errors="replace") + b"\n", self._log)
        except Exception as error:  # noqa: BLE001 - supervision point, as in log
            warn_once("log_text", f"log_text() failed: {type(error).__name__}: {error}"[:300])

    def log_image(
        self,
        key: str,
        image: Any,
        step: int | None = None,
        caption: str | None = None,
        format: str = "png",
        quality: int = 90,
    ) -> str | None:
        """Keep a picture, array, bytes or file as `media/...`; that path relative to `run_dir`, None when it failed."""
        try:
            name = images.media_name(key, format)
            content = images.content(image, format, quality)
            self.media_dir.mkdir(exist_ok=True)
            draft = self.media_dir / f".{name}"
            draft.write_bytes(content)
            draft.replace(self.media_dir / name)
            at = self._step if step is None else self._step_from(step)
            about = {"key": str(key), "path": f"media/{name}", "step": at, "caption": caption}
            self._say(image_line(about, time.time()).encode(), self._events)
        except Exception as error:  # noqa: BLE001 - supervision point, as in log
            warn_once("log_image", f"log_image({key!r}) kept nothing: {type(error).__name__}: {error}"[:300])
            return None
        return f"media/{name}"

    def summary(self, update: Mapping[str, Any]) -> None:
        """Merge `update` into the summary of the run."""
        try:
            given = dict(update)
        except (TypeError, ValueError) as error:
            return warn_once("summary", f"summary() takes a dictionary: {error}")
        return self._change("summary.json", lambda old: {**old, **given})

    def set_primary_metric(self, name: str, mode: str = "max") -> None:
        """Keep the best value of `name` in the summary from now on. Raises ValueError for a mode but max and min."""
        best = Best(name, mode)
        with self._lock:
            self._best = best
        self.summary(best.take_summary())

    def finish(self, status: str = "finished", *, reason: str | None = None) -> None:
        """The run has ended: `finished`, `failed` or `interrupted`. What is undelivered goes on in the background.

        In a queued task the server decides by the exit code; this is noted beside it.
        """
        if status not in STATUSES:
            warn_once("status", f"finish({status!r}): it takes one of {', '.join(STATUSES)}; noted as failed")
            status = "failed"
        with self._lock:
            if self.status != "running":
                return
            self.status = status
            best = self._best.take_summary() if self._best and self._best.is_unwritten else None
        if best:
            self.summary(best)
        if self._speaks_for_all() and self._pid == os.getpid():
            ending = {"status": status, "ended_at": time.time(), "exit_reason": reason}
            self._change("status.json", lambda old: {**old, **ending})
        if self._sender is not None:
            self._sender.start()

    def at_exit(self, status: str, reason: str | None) -> None:
        """The process ends: finish if nobody has, and give what is undelivered its last chance, bounded in time."""
        if self._pid == os.getpid():
            self.finish(status, reason=reason)
            if self._capture is not None:
                self._capture.wait(2.0)
        if self._sender is not None:
            self._sender.flush()

    def release(self) -> bool:
        """Let the files of an ended run go, later than at its end: a thread may still log. True when all is done."""
        if self.status == "running":
            return False
        self._events.close()
        if self._log is not None:
            self._log.close()
        return self._sender is None or self._sender.is_over()

    def _change(self, file_name: str, change: Any) -> None:
        path: Path = self.run_dir / file_name
        try:
            change_json(path, change)
        except (OSError, TypeError, ValueError) as error:
            warn_once(f"file {path}", f"{path} cannot be written: {error}")

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if kind is None:
            self.finish()
        else:
            status = "interrupted" if issubclass(kind, KeyboardInterrupt) else "failed"
            self.finish(status, reason=f"{kind.__name__}: {error}"[:500])


def new_sender(run_dir: Path, target: Target, first: Callable[[], object]) -> "Sender":
    """Imported when it is needed: HTTP and TLS take half of what importing the library would take."""
    from mlserver_client.delivery.sender import Sender

    return Sender(run_dir, target, first)
