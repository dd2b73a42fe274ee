"""The agent of a node: samples GPUs, watches every supervisor, and asks again for whatever stays undone.

It keeps nothing that disk and database do not have: killed at any moment and started again, it finds all runs by the
records in their control directories. One thread, one selector: wake-up lines, process ends, and a tick each second.
The driver is asked in another thread, which never touches the database: what it says is taken in when it comes,
and while it does not, its samples grow old and everything else goes on. Storage roots are followed in a third.
"""

import contextlib
import logging
import os
import selectors
import signal
import time
from collections.abc import Callable, Iterable

from django.conf import settings
from django.db import DatabaseError, connections

from gpus.driver import Driver
from gpus.host import HostSampler, store_host_sample
from gpus.inventory import register_node
from gpus.models import Node
from gpus.occupants import Occupants, occupants_of
from gpus.occupants import store as store_occupants
from gpus.sampling import Sampling
from gpus.telemetry import note_alive, note_gone, release_clean_quarantines
from mlserver.enqueue import enqueue
from mlserver.heartbeat import enqueue_beat
from mlserver.wakeup import Wakeup
from training import paths
from training.execution import liveness, requests
from training.execution.followed_roots import RootsThread
from training.execution.watch import Watch
from training.models import Event, Task
from training.tracking import told
from training.tracking.environment import take_in_environment
from training.tracking.intake import Intake
from training.tracking.system import EnergyMeter, HeldLease, SystemSampler, held_leases

log = logging.getLogger(__name__)

TICK_S = 1.0
TOLD = {paths.SUMMARY_NAME: told.take_in_summary, paths.ENVIRONMENT_NAME: take_in_environment}


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
    def __init__(self, driver: Driver | None = None) -> None:
        self.is_ending = False
        self.node: Node | None = None
        self.sampling = Sampling(driver or Driver(), self.wake)
        self.host = HostSampler()
        self.selector = selectors.DefaultSelector()
        self.wakeup = Wakeup(paths.agent_fifo())
        self.selector.register(self.wakeup, selectors.EVENT_READ, None)
        self.watch = Watch(self.selector)
        self.intake = Intake()
        self.leases: list[HeldLease] = []
        self.meter = EnergyMeter()
        self.system = SystemSampler(settings.SYSTEM_METRICS_S, self.meter)
        self.told = told.ToldFiles(TOLD)
        self.roots = RootsThread()
        self.has_attached = False
        self.occupants: dict[str, Occupants] = {}
        self.jobs: list[tuple[Every, Callable[[], object]]] = [
            (Every(30), self.register),
            (Every(TICK_S), self.note_alive),
            (Every(TICK_S), self.ask_again),
            (Every(TICK_S), self.ask_driver),
            (Every(TICK_S), self.take_in_files),
            (Every(TICK_S), self.sample_runs),
            (Every(5), self.take_in_told),
            (Every(10), self.watch.note_heartbeats),
            (Every(30), liveness.check_outside_runs),
            (Every(5), enqueue_beat),
            (Every(2), requests.repeat_schedules),
            (Every(600), lambda: enqueue("registry.tasks.upkeep")),
            (Every(600), lambda: enqueue("training.queue.tasks.tidy")),
            (Every(5), self.sample_host),
            (Every(5), self.note_occupants),
        ]

    def end(self) -> None:
        self.is_ending = True
        # The selector resumes after a signal handler (PEP 475); a line of our own makes it return.
        self.wake()

    def wake(self) -> None:
        """Let the selector return; from any thread."""
        with contextlib.suppress(BlockingIOError):  # full of lines: it returns anyway
            os.write(self.wakeup.fileno(), b"\n")

    def run(self) -> None:
        self.roots.start()
        next_tick = time.monotonic()
        while not self.is_ending:
            ready = self.selector.select(max(next_tick - time.monotonic(), 0))
            self.guard(lambda ready=ready: self.handle(ready))  # type: ignore[misc]
            self.guard(self.hear_driver)
            if time.monotonic() >= next_tick:
                next_tick = time.monotonic() + TICK_S
                for every, job in self.jobs:
                    if every.is_due():
                        self.guard(job)
        self.guard(self.leave)
        self.roots.end()
        connections.close_all()

    def leave(self) -> None:
        """Said before the agent ends: what is submitted from now on waits for the next one."""
        if self.node is not None:
            note_gone(self.node)

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
        self.node = register_node()
        self.sampling.list_again()

    def note_alive(self) -> None:
        if self.node is not None and note_alive(self.node):
            requests.ask_for_pass()  # what waits may have been refused for our silence

    def sample_host(self) -> None:
        if self.node is not None:
            store_host_sample(self.node, self.host)

    def note_occupants(self) -> None:
        """Never before our own processes are known, as for the samples."""
        if self.node is not None and self.sampling.last_look is not None:
            found = occupants_of(self.sampling.last_look, self.watch.is_ours)
            self.occupants = store_occupants(self.node, found, self.occupants)

    def ask_again(self) -> None:
        """Find runs to watch, and repeat every request whose answer stays out."""
        if self.node is not None:
            requests.repeat(self.node, self.watch)
            self.has_attached = True

    def take_in_files(self) -> None:
        if self.node is not None:
            self.intake.take_in_all(self.node)

    def take_in_told(self) -> None:
        if self.node is not None:
            self.told.take_in_all(self.node.pk)

    def sample_runs(self) -> None:
        if self.node is not None and self.has_attached:
            self.system.tick(self.watch.supervisors(), self.leases, self.sampling.last_look)

    def ask_driver(self) -> None:
        """Never before our own processes are known: they would be taken for somebody else's."""
        if self.node is not None and self.has_attached and self.sampling.may_ask():
            self.leases = held_leases(self.node)
            self.sampling.ask(reserved_on(self.leases))

    def hear_driver(self) -> None:
        """Take in what the driver said, if it did."""
        if self.node is None or not self.sampling.has_answer():
            return
        is_news = self.sampling.take_in(self.node, self.watch.is_ours)
        if self.sampling.last_look is not None:
            self.meter.take(self.sampling.last_look, self.leases)
        if is_news and Task.objects.placeable().exists():
            requests.ask_for_pass()
        for gpu in release_clean_quarantines(self.node) if self.sampling.devices else []:
            message = f"GPU {gpu.index}: the quarantine is over, the device is idle"
            Event.objects.say("GpuReleased", message, node=self.node)
            requests.ask_for_pass()


def reserved_on(leases: Iterable[HeldLease]) -> dict[str, int]:
    """uuid -> MiB that runs have reserved."""
    reserved: dict[str, int] = {}
    for lease in leases:
        reserved[lease.uuid] = reserved.get(lease.uuid, 0) + lease.memory_mib
    return reserved
