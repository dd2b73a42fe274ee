"""Invitations to terminals: each is good once and for a moment, for a process that runs."""

import time
from typing import Any

import pytest

from mlserver.errors import Conflict, Forbidden, NotFound
from tests.make import make_process, make_run
from training import terminals
from training.models import Event, Run
from training.terminals import Invitation, Invitations, accept, invite

pytestmark = pytest.mark.django_db


def invited(run: Run | None = None, **options: Any) -> str:
    run = run or make_process().run
    token, _ = invite(run, 0, invited="key mls_abc... laptop of ada", **options)
    return token


def test_it_opens_one_terminal_and_says_who_did() -> None:
    run = make_process().run
    token = invited(run, silence_s=60)
    found, invitation = accept(token, "10.0.0.1")
    assert (found, invitation.rank, invitation.silence_s) == (run, 0, 60)
    event = Event.objects.get(run=run, reason="TerminalOpened")
    assert event.message == "rank 0: by key mls_abc... laptop of ada from 10.0.0.1"
    with pytest.raises(Forbidden):
        accept(token, "10.0.0.1")


def test_the_end_is_on_record_too() -> None:
    run = make_process().run
    found, invitation = accept(invited(run), "10.0.0.1")
    terminals.record_end(found, invitation, "10.0.0.1", after_s=12.3, why="the shell has ended")
    event = Event.objects.get(run=run, reason="TerminalClosed")
    assert event.message == "rank 0: of key mls_abc... laptop of ada from 10.0.0.1, after 12 s, the shell has ended"


@pytest.mark.parametrize("token", ["", "x" * 43, "x" * 10_000, "é"])
def test_an_unknown_token_is_forbidden(token: str) -> None:
    with pytest.raises(Forbidden):
        accept(token, "10.0.0.1")


def test_a_late_token_is_forbidden(monkeypatch: pytest.MonkeyPatch) -> None:
    token, expires_at = invite(make_process().run, 0, invited="ada", handshake_s=30)
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 31)
    with pytest.raises(Forbidden):
        accept(token, "10.0.0.1")


@pytest.mark.parametrize("status", ["starting", "ending", "finished", "failed", "stopped"])
def test_only_a_run_that_is_running_has_terminals(status: str) -> None:
    run = make_process().run
    token = invited(run)
    Run.objects.filter(pk=run.pk).update(status=status)
    with pytest.raises(Conflict, match=status):
        accept(token, "10.0.0.1")
    with pytest.raises(Conflict, match=status):
        invited(Run.objects.get(pk=run.pk))


def test_an_unknown_rank_has_none() -> None:
    with pytest.raises(NotFound, match="rank 0"):
        invited(make_run())


def test_switched_off_nobody_gets_one_and_nobody_opens_one(settings: Any) -> None:
    token = invited()
    settings.WEB_TERMINAL = False
    with pytest.raises(Forbidden, match="WEB_TERMINAL"):
        accept(token, "10.0.0.1")
    with pytest.raises(Forbidden, match="WEB_TERMINAL"):
        invited()


def test_tokens_are_long_and_not_kept() -> None:
    kept = Invitations()
    token = kept.add(Invitation("20260101_000000_abcdef", 0, "ada", 900, time.monotonic() + 30))
    assert len(token) == 43  # 256 bits in base 64
    assert token not in repr(kept._open)


def test_no_more_are_kept_than_anybody_wants() -> None:
    kept = Invitations()
    tokens = [kept.add(Invitation("run", 0, "ada", 900, time.monotonic() + 30)) for _ in range(1100)]
    assert len(kept) == terminals.MOST_INVITATIONS
    assert kept.take(tokens[0]) is None
    assert kept.take(tokens[-1]) is not None
