"""Storage roots that the agent follows: those somebody imported with --follow, and our own.

In a thread of its own, with a database connection of its own: a root may lie on a network drive that hangs, and nothing
that the agent does for runs may wait for it.
"""

import logging
import threading
import time

from django.db import DatabaseError, connections

from mlserver.accounts.bootstrap import first_admin
from training import paths
from training.models import ImportedRoot
from training.tracking.importers.following import Follower
from training.tracking.importers.roots import register_root

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
# Of each root at a time, so that none waits for another.
LOOK_WITHIN_S = 0.3
END_WITHIN_S = 2.0


class FollowedRoots:
    """News of all followed roots, once more with each `look`. For one thread."""

    def __init__(self) -> None:
        self.followers: dict[int, Follower] = {}

    def look(self) -> None:
        register_own()
        roots = {root.pk: root for root in ImportedRoot.objects.filter(is_followed=True).select_related("owner")}
        self.followers = {pk: follower for pk, follower in self.followers.items() if pk in roots}
        for pk, root in roots.items():
            follower = self.followers.setdefault(pk, Follower(root))
            report = follower.look(LOOK_WITHIN_S)
            if report.news:
                log.info("%s: %s", root.path, report.summary())


def register_own() -> None:
    """Scripts outside the queue whose RUNICORN_DIR is our own root are found, unless somebody wants them not to be."""
    own = paths.runs_root()
    if own.is_dir() and not ImportedRoot.objects.filter(path=str(own)).exists():
        register_root(own, first_admin(), is_followed=True)


class RootsThread:
    """Looks again and again until it is ended."""

    def __init__(self) -> None:
        self._is_ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="followed-roots", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """One that hangs is left behind: what it had not committed it takes in again the next time."""
        self._is_ending.set()
        if self._thread.ident is not None:
            self._thread.join(END_WITHIN_S)

    def _run(self) -> None:
        roots = FollowedRoots()
        while not self._is_ending.is_set():
            began_at = time.monotonic()
            try:
                roots.look()
            except DatabaseError as error:
                log.warning("the database does not answer: %s", error)
                connections.close_all()
            except Exception:  # noqa: BLE001  a supervision point: logged, and tried again
                log.exception("following roots goes on after this")
            # A look that took long is followed by as long a rest: the runs of the queue come first.
            self._is_ending.wait(max(LOOK_EVERY_S, time.monotonic() - began_at))
        connections.close_all()
