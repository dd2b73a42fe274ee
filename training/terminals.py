"""Who may open a terminal: invitations to one shell beside one process of a run, each good once and for a moment.

They live in the web process alone, as digests; a restart voids those that were not used.
"""

import hashlib
import secrets
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from mlserver.errors import Conflict, Forbidden, NotFound
from training.models import Event, Run, RunStatus

HANDSHAKE_S, SILENCE_S = 30, 900
TOKEN_BYTES = 32
MOST_INVITATIONS = 1024


@dataclass(frozen=True)
class Invitation:
    """`invited` names key and user; the terminal is ended after `silence_s` without a frame of its client."""

    run_id: str
    rank: int
    invited: str
    silence_s: int
    is_valid_until: float


class Invitations:
    """Open ones by the digest of their token; safe between threads. `is_valid_until` is monotonic time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: OrderedDict[str, Invitation] = OrderedDict()

    def add(self, invitation: Invitation) -> str:
        """The token. The oldest of too many is forgotten."""
        token = secrets.token_urlsafe(TOKEN_BYTES)
        with self._lock:
            self._open[_digest(token)] = invitation
            if len(self._open) > MOST_INVITATIONS:
                self._open.popitem(last=False)
        return token

    def take(self, token: str) -> Invitation | None:
        """None for one that is unknown, used or late."""
        with self._lock:
            found = self._open.pop(_digest(token), None)
        return found if found is not None and time.monotonic() < found.is_valid_until else None

    def __len__(self) -> int:
        return len(self._open)


invitations = Invitations()


def invite(
    run: Run, rank: int, *, invited: str, handshake_s: int = HANDSHAKE_S, silence_s: int = SILENCE_S
) -> tuple[str, datetime]:
    """A token that opens one terminal within `handshake_s`, and when it is void.

    Raises Forbidden where terminals are switched off, NotFound for an unknown rank, Conflict unless the run is running.
    """
    require_terminals()
    require_running(run)
    if not run.processes.filter(rank=rank).exists():
        raise NotFound(f"run {run.pk} has no process of rank {rank} on this server")
    token = invitations.add(Invitation(run.pk, rank, invited, silence_s, time.monotonic() + handshake_s))
    return token, timezone.now() + timedelta(seconds=handshake_s)


def accept(token: str, address: str) -> tuple[Run, Invitation]:
    """The run and rank of an invitation, which is used up now; the opening is on record.

    Raises Forbidden when it is unknown, used or late, and what `invite` raises.
    """
    require_terminals()
    invitation = invitations.take(token)
    if invitation is None:
        raise Forbidden("this terminal was opened already, or not in time, or never offered; ask for a new one")
    run = Run.objects.visible().filter(pk=invitation.run_id).first()
    if run is None:
        raise NotFound(f"run {invitation.run_id} does not exist")
    require_running(run)
    Event.objects.say("TerminalOpened", f"rank {invitation.rank}: by {invitation.invited} from {address}", run=run)
    return run, invitation


def record_end(run: Run, invitation: Invitation, address: str, *, after_s: float, why: str) -> None:
    """What was typed and shown is never kept."""
    said = f"rank {invitation.rank}: of {invitation.invited} from {address}, after {after_s:.0f} s, {why}"
    Event.objects.say("TerminalClosed", said, run=run)


def require_terminals() -> None:
    if not settings.WEB_TERMINAL:
        raise Forbidden("terminals are switched off on this server (WEB_TERMINAL)")


def require_running(run: Run) -> None:
    if run.status != RunStatus.RUNNING:
        raise Conflict(f"run {run.pk} is {run.status}; a terminal needs one that is running")


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
