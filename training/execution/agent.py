"""The agent of a node: samples GPUs, watches every supervisor, and asks again for whatever stays undone.

It keeps nothing that disk and database do not have: killed at any moment and started again, it finds all runs by the
records in their control directories. One thread, one selector: wake-up lines, process ends, and a tick each second.
"""

import logging
import os
import selectors
import signal
import time
from collections.abc import Callable

from django.db import DatabaseError, connections

from gpus.inventory import register_gpus, register_node
from gpus.models import Node
from gpus.nvml import open_reader, own_reader
from gpus.readings import AbsentReader, Reader
from gpus.telemetry import release_clean_quarantines, sample
from mlserver.heartbeat import enqueue_beat
from mlserver.wakeup import Wakeup
from training import paths
from training.execution import requests
from training.execution.watch import Watch
from training.models import Event, Lease

log = logging.getLogger(__name__)

TICK_S = 1.0


def main() -> None:
    """Run until SIGTERM."""
    agent = Agent()
    signal.signal(signal.SIGTERM, lambda *_: agent.end())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    agent.run()


class Every:
    """True once per period."""

    def __init__(self, period_s: float) -> None:
        self.period_s = period_s
        self.next_at = 0.0

    def is_due(self) -> bool:
        if time.monotonic() < self.next_at:
            return False
        self.next_at = time.monotonic() + self.period_s
        return True


class Agent:
    def __init__(self) -> None:
        self.is_ending = False
        self.node: Node | None = None
        self.reader: Reader = own_reader()
        self.selector = selectors.DefaultSelector()
        self.wakeup = Wakeup(paths.agent_fifo())
        self.selector.register(self.wakeup, selectors.EVENT_READ, None)
        self.watch = Watch(self.selector)
        self.was_schedulable: object = None
        self.jobs: list[tuple[Every, Callable[[], object]]] = [
            (Every(30), self.register),
            (Every(TICK_S), self.sample),
            (Every(TICK_S), self.ask_again),
            (Every(10), self.watch.note_heartbeats),
            (Every(5), enqueue_beat),
        ]

    def end(self) -> None:
        self.is_ending = True
        # The selector resumes after a signal handler (PEP 475); a line of our own makes it return.
        os.write(self.wakeup.fileno(), b"\n")

    def run(self) -> None:
        next_tick = time.monotonic()
        while not self.is_ending:
            ready = self.selector.select(max(next_tick - time.monotonic(), 0))
            self.guard(lambda ready=ready: self.handle(ready))  # type: ignore[misc]
            if time.monotonic() >= next_tick:
                next_tick = time.monotonic() + TICK_S
                for every, job in self.jobs:
                    if every.is_due():
                        self.guard(job)
        connections.close_all()

    def guard(self, job: Callable[[], object]) -> None:
        """One failing job (a locked database, a full disk, a bug) must not end the watch over all runs."""
        try:
            job()
        except DatabaseError as error:
            log.warning("the database does not answer: %s", error)
            connections.close_all()
        except Exception:  # noqa: BLE001  a supervision point: logged, and tried again with the next tick
            log.exception("the agent goes on after this")

    def handle(self, ready: list[tuple[selectors.SelectorKey, int]]) -> None:
        for key, _ in ready:
            if key.data is None:
                for run_id in dict.fromkeys(filter(None, self.wakeup.read())):
                    self.watch.look_at(run_id)
            else:
                self.watch.supervisor_ended(key.data)

    def register(self) -> None:
        """Now and then: a driver may be loaded, a device lost or added, while we run."""
        if isinstance(self.reader, AbsentReader):
            self.reader = open_reader()
        self.node = register_node()
        register_gpus(self.node, self.reader)

    def sample(self) -> None:
        """GPU nodes each second; without GPUs the node only says that it is alive."""
        if self.node is None:
            return
        reserved: dict[str, int] = {}
        for uuid, mib in Lease.objects.held().filter(gpu__node=self.node).values_list("gpu__uuid", "memory_mib"):
            reserved[uuid] = reserved.get(uuid, 0) + mib
        sample(self.node, self.reader, self.watch.is_ours, reserved_mib=reserved)
        released = release_clean_quarantines(self.node) if self.reader.known_uuids() else []
        for gpu in released:
            Event.objects.say(
                "GpuReleased", f"GPU {gpu.index}: the quarantine is over, the device is idle", node=self.node
            )
        if released:
            requests.ask_for_pass()

    def ask_again(self) -> None:
        """Find runs to watch, and repeat every request whose answer stays out."""
        if self.node is not None:
            requests.repeat(self.node, self.watch)
