"""The sampling of a node by its agent: put the question, go on, take in the answer when it comes."""

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from datetime import datetime

from gpus.availability import IDLE_MEMORY_MIB
from gpus.driver import Driver
from gpus.inventory import Listing, list_devices, register_gpus
from gpus.models import SAMPLE_MAX_AGE, Node
from gpus.readings import Reader
from gpus.telemetry import Look, Values, look, store

log = logging.getLogger(__name__)

WARN_AFTER_S = 10.0

Answer = tuple[Listing | None, Look]
State = Mapping[str, tuple[object, ...]]


class Sampling:
    """One question at a time. `on_answer` is called from the driver's thread; all else is for the agent's thread."""

    def __init__(self, driver: Driver, on_answer: Callable[[], None]) -> None:
        self.driver = driver
        self.on_answer = on_answer
        self.devices: State = {}
        """uuid -> what a scheduling pass decides by, as of the last answer."""
        self.last_look: Look | None = None
        self._looked_at: datetime | None = None
        self._is_listed = False
        self._reserved: Mapping[str, int] = {}
        self._asked: Future[Answer] | None = None
        self._has_warned = False

    def list_again(self) -> None:
        """The next question asks for the list of devices too."""
        self._is_listed = False

    def may_ask(self) -> bool:
        """False while an answer is out."""
        if self.driver.silent_s > WARN_AFTER_S and not self._has_warned:
            self._has_warned = True
            log.warning("the driver has not answered for %.0f s: GPUs get no work until it does", self.driver.silent_s)
        return self._asked is None

    def ask(self, reserved_mib: Mapping[str, int]) -> None:
        """`reserved_mib`: what runs have reserved now, by uuid."""
        with_list, self._reserved = not self._is_listed, reserved_mib
        self._asked = self.driver.ask(lambda reader: _question(reader, with_list=with_list))
        self._asked.add_done_callback(lambda _: self.on_answer())

    def has_answer(self) -> bool:
        return self._asked is not None and self._asked.done()

    def take_in(self, node: Node, is_ours: Callable[[int], bool]) -> bool:
        """Store the answer; True when a scheduling pass would see something new. Raises what the reader raised.

        Whether it can be stored or not, the next question may be put.
        """
        asked, self._asked, self._has_warned = self._asked, None, False
        if asked is None:
            return False
        listing, seen = asked.result()
        if listing is not None:
            register_gpus(node, listing)
            self._is_listed = True
        self.last_look = seen
        found = store(node, seen, is_ours, reserved_mib=self._reserved)
        devices = {uuid: _state(values, self._reserved.get(uuid, 0)) for uuid, values in found.items()}
        had_gap = self._looked_at is None or seen.at - self._looked_at > SAMPLE_MAX_AGE
        is_news = bool(devices) and had_gap or devices != self.devices
        self.devices, self._looked_at = devices, seen.at
        return is_news


def _question(reader: Reader, *, with_list: bool) -> Answer:
    return (list_devices(reader) if with_list else None), look(reader)


def _state(values: Values, reserved_mib: int) -> tuple[object, ...]:
    """The last one: memory of a run that has given its lease back, which keeps others out for as long."""
    left_mib = 0 if reserved_mib else (values["used_memory_mib"] or 0) - values["foreign_memory_mib"]
    return (
        values["is_present"],
        values["foreign_process_count"],
        values["foreign_memory_mib"],
        left_mib > IDLE_MEMORY_MIB,
    )
