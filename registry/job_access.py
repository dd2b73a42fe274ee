"""What the account of jobs (MLSERVER_JOB_USER) may read of stored content; nobody may write it."""

import os
import pwd
from pathlib import Path

from django.conf import settings

FOR_US = 0o400
FOR_US_AND_GROUP = 0o440


def let_jobs_read(file: int) -> None:
    """Make an open file read only, for us and, where jobs have an account of their own, for that account's group.

    The store itself is closed to that account (0700): it comes only to names in directories that can be passed.
    """
    facts, mode = os.fstat(file), FOR_US
    if settings.JOB_USER:
        mode, group = FOR_US_AND_GROUP, pwd.getpwnam(settings.JOB_USER).pw_gid
        if facts.st_gid != group:
            os.fchown(file, -1, group)
    if facts.st_mode & 0o7777 != mode:
        os.fchmod(file, mode)


def prepare_directory(directory: Path) -> None:
    """Make a directory for links; with an account for jobs it can be passed, though not listed (0711)."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    mode = directory.stat().st_mode & 0o7777
    if settings.JOB_USER and mode & 0o011 != 0o011:
        directory.chmod(mode | 0o011)
