"""Children of `serve` on a machine that has no room for them."""

import errno
import os
import signal
import sys
import time
from typing import Never

import pytest

from mlserver.serving.children import FIRST_DELAY_S, Child
from mlserver.serving.supervise import Supervisor
from training.execution.identity import ProcessIdentity


@pytest.fixture
def full_machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    def fork() -> Never:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(os, "fork", fork)
    return monkeypatch


class Ended:
    """The main of a child that is never born here."""

    def __call__(self) -> None:
        raise AssertionError("this must not run in the test process")


def test_a_start_without_room_is_tried_again_later_and_later(full_machine: pytest.MonkeyPatch) -> None:
    child = Child("web", Ended())
    assert child.start() is False
    first = child.due_at - time.monotonic()
    assert 0 < first <= FIRST_DELAY_S
    assert (child.is_running, child.is_due()) == (False, False)
    child.start()
    assert child.due_at - time.monotonic() > first


def test_the_watch_survives_a_fork_without_room(
    full_machine: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    child = Child("web", Ended())
    supervisor = Supervisor([child], wants_restart=lambda: False)
    supervisor._start_due()
    supervisor._note_end(child, -signal.SIGKILL)
    assert "web was not started: [Errno 11] Resource temporarily unavailable" in caplog.text
    assert "web ended by signal 9 and is started again" in caplog.text
    assert "the event was not written: [Errno 11]" in caplog.text


def test_a_child_that_cannot_be_told_apart_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ProcessIdentity, "of", lambda _: None)
    seen: list[int] = []
    fork = os.fork
    monkeypatch.setattr(os, "fork", lambda: seen.append(pid := fork()) or pid)
    child = Child("web", signal.pause)
    assert child.start() is False
    assert os.waitstatus_to_exitcode(os.waitpid(seen[0], 0)[1]) == -signal.SIGKILL


def test_an_output_that_nobody_reads_is_no_reason_to_start_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    os.close(read)
    broken = os.fdopen(write, "w")
    broken.write("unread")
    monkeypatch.setattr(sys, "stdout", broken)
    child = Child("web", signal.pause)
    assert child.start() is True
    child.send(signal.SIGKILL)
    assert child.identity is not None
    os.waitpid(child.identity.pid, 0)
    with pytest.raises(BrokenPipeError):
        broken.close()
