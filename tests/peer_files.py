"""Storage roots as Runicorn's tracking library leaves them, written without it."""

import json
import os
import time
from pathlib import Path
from typing import Any

RUN_ID = "20260307_091502_4fe0b7"
ENDED = {"status": "finished", "started_at": 1772874902.5, "ended_at": 1772878502.5}
RUNNING = {"status": "running", "started_at": 1772874902.5}


def metrics(step: int, **values: Any) -> dict[str, Any]:
    data = {"global_step": step, "time": 1772874900.0 + step, **values}
    return {"ts": data["time"], "type": "metrics", "data": data}


def picture(name: str, **data: Any) -> dict[str, Any]:
    return {"ts": 1772874911.0, "type": "image", "data": {"key": "sample", "path": f"media/{name}", **data}}


def lines(*records: object) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


class PeerRun:
    """The directory of one run; `meta`, `status` and further files replace or, with None, leave out what is usual."""

    def __init__(
        self, root: Path, run_id: str = RUN_ID, *, project: str = "vision", name: str = "resnet", **files: Any
    ) -> None:
        self.directory = root / project / name / "runs" / run_id if project else root / "runs" / run_id
        self.directory.mkdir(parents=True)
        meta = {
            "id": run_id, "project": project, "name": name, "created_at": 1772874902.0, "python": "3.11.7",
            "platform": "Linux 6.1 (x86_64)", "hostname": "elsewhere", "pid": 4242, "storage_dir": str(root),
        }  # fmt: skip
        self.write(**{"meta": meta, "status": ENDED, **files})

    def write(self, **files: Any) -> None:
        """`meta`, `status`, `summary`, `environment` and `deleted`."""
        for key, content in files.items():
            path = self.directory / (".deleted" if key == "deleted" else f"{key}.json")
            if content is not None:
                path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
                later(path)

    def change_meta(self, **changes: Any) -> None:
        self.write(meta={**json.loads((self.directory / "meta.json").read_text()), **changes})

    def say(self, *records: object, tail: str | bytes = "") -> None:
        with (self.directory / "events.jsonl").open("ab") as file:
            file.write(lines(*records).encode() + (tail if isinstance(tail, bytes) else tail.encode()))


_ticks = 0


def later(path: Path) -> None:
    """Clocks of file systems are coarse: each write gets a time of its own."""
    global _ticks
    _ticks += 1
    at = time.time_ns() + _ticks * 1000
    os.utime(path, ns=(at, at))
