"""Tells the log which process of the server a line is from."""

import logging

import setproctitle

PREFIX = "mlserver: "


class RoleFilter(logging.Filter):
    """Adds `role` to each record: what the title of the process says, `manage.py` for a command."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.role = role_of(setproctitle.getproctitle())
        return True


def role_of(title: str) -> str:
    """`mlserver: web` -> `web`; every process of django-q2 is `qcluster`."""
    if title.startswith(PREFIX):
        return title.removeprefix(PREFIX)
    return "qcluster" if title.startswith("qcluster ") else "manage.py"
