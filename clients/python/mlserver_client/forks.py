"""What a fork must not share: locks that another thread held, descriptors, threads that exist only in the parent."""

import os
import weakref
from typing import Protocol


class Forked(Protocol):
    def after_fork(self) -> None: ...


_living: "weakref.WeakSet[Forked]" = weakref.WeakSet()


def renew_after_fork(thing: Forked) -> None:
    """Call `thing.after_fork()` in each child that is forked as long as `thing` lives."""
    _living.add(thing)


def _in_child() -> None:
    for thing in list(_living):
        thing.after_fork()


os.register_at_fork(after_in_child=_in_child)
