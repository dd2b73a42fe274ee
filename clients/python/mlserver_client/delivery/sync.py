"""`python -m mlserver_client sync DIR`: deliver what runs have left behind."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

from mlserver_client import process
from mlserver_client.delivery.lock import DeliveryLock
from mlserver_client.delivery.outbox import Outbox
from mlserver_client.delivery.target import Target
from mlserver_client.delivery.wire import Later, Refusal, Wire
from mlserver_client.files import change_json, read_json

LONGEST_WAIT_S = 10.0


def run_directories(root: Path) -> Iterator[Path]:
    """`root` itself, or the runs of a storage root, oldest first."""
    if (root / "meta.json").exists():
        yield root
        return
    yield from sorted({path.parent for path in root.glob("**/runs/*/meta.json")}, key=lambda path: path.name)


def sync(root: Path, target: Target, *, within_s: float) -> bool:
    """Deliver everything below `root`, with a line for each run; False when something is left."""
    directories = list(run_directories(root))
    if not directories:
        print(f"no run lies in {root}", file=sys.stderr)
        return False
    return all([sync_one(directory, target, time.monotonic() + within_s) for directory in directories])


def sync_one(run_dir: Path, target: Target, end_at: float) -> bool:
    lock = DeliveryLock(run_dir)
    try:
        if not lock.take():
            return said(run_dir, "is being delivered by its own process", is_good=True)
        end_the_gone(run_dir)
        outbox = Outbox(run_dir, Wire(target))
        deliver(outbox, end_at)
        left = outbox.left()
        return said(run_dir, f"not delivered: {left}" if left else "delivered", is_good=not left)
    except (Refusal, Later, OSError) as error:
        return said(run_dir, f"not delivered: {error}", is_good=False)
    finally:
        lock.forget()


def said(run_dir: Path, what: str, *, is_good: bool) -> bool:
    print(f"{run_dir.name}: {what}", file=sys.stdout if is_good else sys.stderr)
    return is_good


def deliver(outbox: Outbox, end_at: float) -> None:
    """Raises Later when the server stays away until `end_at` (of time.monotonic)."""
    wait_s = 0.5
    while True:
        try:
            if not outbox.advance():
                return
            wait_s = 0.5
        except Later as later:
            pause_s = max(later.after_s, wait_s)
            if time.monotonic() + pause_s > end_at:
                raise
            time.sleep(pause_s)
            wait_s = min(wait_s * 2, LONGEST_WAIT_S)


def end_the_gone(run_dir: Path) -> None:
    """A run that still reads `running` though its process of this host is gone has failed."""
    status = run_dir / "status.json"
    if read_json(status).get("status") == "running" and process.is_gone(read_json(run_dir / "meta.json")):
        ending = {"status": "failed", "ended_at": time.time(), "exit_reason": "process_not_found"}
        change_json(status, lambda old: {**old, **ending})
