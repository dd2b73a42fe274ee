"""The account that jobs run as (MLSERVER_JOB_USER), and whether it can come to where they run."""

import os
import pwd
import stat
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
        facts = directory.stat()
        if facts.st_uid == self.uid:
            return bool(facts.st_mode & stat.S_IXUSR)
        if facts.st_gid in self.groups:
            return bool(facts.st_mode & stat.S_IXGRP)
        return bool(facts.st_mode & stat.S_IXOTH)


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


def make_way(root: Path, directory: Path) -> None:
    """Make `directory` and what lies between it and `root`; all but the last can be passed but not listed."""
    root.mkdir(parents=True, exist_ok=True)
    for step in [root, *reversed(directory.parents)]:
        if step == root or root in step.parents:
            step.mkdir(exist_ok=True)
            step.chmod(0o711)
    directory.mkdir(mode=0o750, exist_ok=True)
