"""Asking the driver without waiting for it longer than one wants to."""

import os
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from gpus import driver as driving
from gpus.driver import Driver, DriverSilentError, own_driver
from gpus.readings import AbsentReader, Reader


class HangingReader(AbsentReader):
    """Answers when it is told to."""

    def __init__(self) -> None:
        super().__init__("test")
        self.may_answer = threading.Event()

    def driver_version(self) -> str:
        self.may_answer.wait(30)
        return "580.65.06"


@pytest.fixture
def reader() -> Iterator[HangingReader]:
    reader = HangingReader()
    yield reader
    reader.may_answer.set()


def version(reader: Reader) -> str:
    return reader.driver_version()


def test_it_asks_without_waiting(reader: HangingReader) -> None:
    answer = Driver(lambda: reader).ask(version)
    assert not answer.done()
    reader.may_answer.set()
    assert answer.result(10) == "580.65.06"


def test_it_waits_only_as_long_as_it_is_told(reader: HangingReader) -> None:
    driver = Driver(lambda: reader)
    with pytest.raises(DriverSilentError, match=r"within 0\.05 s"):
        driver.answer(version, within_s=0.05)
    assert driver.silent_s > 0.04
    reader.may_answer.set()
    assert driver.answer(version, within_s=10) == "580.65.06"
    assert driver.silent_s == 0


def test_many_questions_to_a_silent_driver_cost_one_wait(reader: HangingReader) -> None:
    driver = Driver(lambda: reader)
    began = time.monotonic()
    for _ in range(50):
        with pytest.raises(DriverSilentError):
            driver.answer(version, within_s=0.1)
    assert time.monotonic() - began < 2


def test_it_drops_questions_nobody_waits_for_any_more(reader: HangingReader) -> None:
    driver, asked = Driver(lambda: reader), []
    driver.ask(version)
    with pytest.raises(DriverSilentError):
        driver.answer(lambda reader: asked.append(reader), within_s=0.05)
    reader.may_answer.set()
    assert driver.ask(version).result(10)
    assert asked == []


def test_it_hands_on_what_the_reader_raises_and_goes_on(reader: HangingReader) -> None:
    reader.may_answer.set()
    driver = Driver(lambda: reader)
    with pytest.raises(ZeroDivisionError):
        driver.answer(lambda reader: 1 // 0, within_s=10)
    assert driver.answer(version, within_s=10) == "580.65.06"


def test_it_opens_a_reader_without_devices_anew_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=1000.0, monotonic=lambda: clock.now)
    monkeypatch.setattr(driving, "time", clock)
    opened: list[Reader] = []

    def open_reader() -> Reader:
        opened.append(AbsentReader("no driver"))
        return opened[-1]

    driver = Driver(open_reader)
    for clock.now, times in ((1000.0, 1), (1029.0, 1), (1030.0, 2)):
        assert driver.answer(lambda reader: reader, within_s=10) is opened[-1]
        assert len(opened) == times


def test_each_process_has_a_driver_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    driving._driver_of.cache_clear()
    mine = own_driver()
    assert own_driver() is mine
    monkeypatch.setattr(os, "getpid", lambda: 1)
    assert own_driver() is not mine
    driving._driver_of.cache_clear()
