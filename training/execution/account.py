"""The account that jobs run as (MLSERVER_JOB_USER), and whether it can come to where they run."""

import importlib.util
import os
import pwd
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings


@dataclass(frozen=True)
class JobAccount:
    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str

    def spec(self) -> dict[str, Any]:
        """What the supervisor needs to become it."""
        return {"uid": self.uid, "gid": self.gid, "groups": list(self.groups)}

    def environment(self) -> dict[str, str]:
        return {"HOME": self.home, "USER": self.name, "LOGNAME": self.name}

    def may_enter(self, directory: Path) -> bool:
        """By the directory's owner, group and mode; access lists are not looked at."""
        return self._may(directory, stat.S_IXOTH)

    def may_use(self, path: Path) -> bool:
        """Read it, and enter or execute it; judged like `may_enter`."""
        return self._may(path, stat.S_IROTH | stat.S_IXOTH)

    def _may(self, path: Path, bits: int) -> bool:
        facts = path.stat()
        if facts.st_uid == self.uid:
            bits <<= 6
        elif facts.st_gid in self.groups:
            bits <<= 3
        return facts.st_mode & bits == bits


def job_account() -> JobAccount | None:
    """None: the server's own account. Raises LookupError for one that is gone since the start."""
    if not settings.JOB_USER:
        return None
    found = pwd.getpwnam(settings.JOB_USER)
    groups = os.getgrouplist(found.pw_name, found.pw_gid)
    return JobAccount(found.pw_name, found.pw_uid, found.pw_gid, tuple(groups), found.pw_dir)


def closed_directory(account: JobAccount) -> Path | None:
    """The first directory on the way to the server's home that the account may not enter; None when it may."""
    home: Path = settings.MLSERVER_HOME
    way = [*reversed(home.parents), home]
    return next((directory for directory in way if not account.may_enter(directory)), None)


def why_no_training_starts() -> str:
    """What keeps the account of jobs from Python or the code of trainings, and what to do; empty: nothing does."""
    account = job_account()
    if account is None or account.uid == 0:
        return ""
    for needed in needed_by_trainings():
        closed = closed_on_way(account, needed)
        if closed is not None:
            bits = "o+rx" if closed == needed.resolve() else "o+x"
            return (
                f"MLSERVER_JOB_USER={account.name!r} may not come to {needed}, which trainings need: {closed} is closed"
                f" to that account; open it (chmod {bits}), or install Python and the server where it may read"
            )
    return ""


def needed_by_trainings() -> Iterator[Path]:
    """The interpreter, its library, the server's code, and where packages are; those that exist."""
    yield Path(sys.executable)
    yield Path(os.__file__).parent
    yield settings.BASE_DIR
    for package in ("numpy", "torch"):
        found = importlib.util.find_spec(package)
        if found is not None and found.origin is not None:
            yield Path(found.origin).parent


def closed_on_way(account: JobAccount, path: Path) -> Path | None:
    """The first that the account may not pass on the way to `path` or, through links, to what it stands for."""
    for way in dict.fromkeys((path, path.parent.resolve() / path.name, path.resolve())):
        for directory in reversed(way.parents):
            if not account.may_enter(directory):
                return directory
    return None if account.may_use(path) else path.resolve()


def make_way(root: Path, directory: Path) -> None:
    """Make `directory` and what lies between it and `root`; all but the last can be passed but not listed."""
    root.mkdir(parents=True, exist_ok=True)
    for step in [root, *reversed(directory.parents)]:
        if step == root or root in step.parents:
            step.mkdir(exist_ok=True)
            step.chmod(0o711)
    directory.mkdir(mode=0o750, exist_ok=True)
