"""Who a process is: a number alone is never signalled."""

import os
import select
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace

import pytest

from training.execution.identity import ProcessIdentity, boot_id

pytestmark = pytest.mark.process


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


@pytest.fixture
def identity(sleeper: subprocess.Popen[bytes]) -> ProcessIdentity:
    found = ProcessIdentity.of(sleeper.pid)
    assert found is not None
    return found


def test_it_knows_a_live_process(identity: ProcessIdentity) -> None:
    assert identity.is_alive()
    assert identity == ProcessIdentity.of(identity.pid)


def test_it_comes_back_from_a_record(identity: ProcessIdentity) -> None:
    record = {"pid": identity.pid, "start_ticks": identity.start_ticks, "boot_id": identity.boot_id, "started_at": 1.0}
    assert ProcessIdentity.from_record(record) == identity


@pytest.mark.parametrize("change", ["start_ticks", "boot_id"])
def test_it_never_signals_who_got_the_number_later(
    identity: ProcessIdentity, sleeper: subprocess.Popen[bytes], change: str
) -> None:
    other = replace(identity, **{change: identity.start_ticks - 1 if change == "start_ticks" else "another boot"})
    assert not other.is_alive()
    assert other.open_pidfd() is None
    assert other.send(signal.SIGKILL) is False
    assert sleeper.poll() is None
    assert identity.is_alive()


def test_it_signals_the_process_it_names(identity: ProcessIdentity, sleeper: subprocess.Popen[bytes]) -> None:
    assert identity.send(signal.SIGTERM) is True
    assert sleeper.wait(10) == -signal.SIGTERM
    assert identity.send(signal.SIGTERM) is False


def test_its_descriptor_becomes_readable_at_the_end(identity: ProcessIdentity) -> None:
    handle = identity.open_pidfd()
    assert handle is not None
    assert select.select([handle], [], [], 0)[0] == []
    identity.send(signal.SIGKILL)
    assert select.select([handle], [], [], 10)[0] == [handle]
    os.close(handle)


def test_a_zombie_has_ended(identity: ProcessIdentity) -> None:
    handle = identity.open_pidfd()
    identity.send(signal.SIGKILL)
    assert handle is not None
    select.select([handle], [], [], 10)
    os.close(handle)
    assert not identity.is_alive()
    assert identity.open_pidfd() is None


def test_nobody_has_an_impossible_number() -> None:
    assert ProcessIdentity.of(2**22 + 1) is None
    assert ProcessIdentity(2**22 + 1, 1, boot_id()).send(signal.SIGTERM) is False
