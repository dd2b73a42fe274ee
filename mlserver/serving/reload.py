"""`serve --reload`: notices changed Python files, for people who work on the server."""

import ast
import logging
from pathlib import Path

from django.conf import settings

log = logging.getLogger(__name__)


class SourceWatch:
    """Compares modification times of the project's own packages."""

    def __init__(self) -> None:
        self._seen = snapshot()

    def has_changed(self) -> bool:
        """True once something changed and all of it can be parsed; a half-written file is waited for."""
        now = snapshot()
        if now == self._seen:
            return False
        changed = [path for path in now if now[path] != self._seen.get(path)]
        self._seen = now
        return all(can_be_parsed(path) for path in changed)


def snapshot() -> dict[Path, int]:
    """Modification time in ns of every source file."""
    packages = (init.parent for init in Path(settings.BASE_DIR).glob("*/__init__.py"))
    found = {}
    for path in (path for package in packages for path in package.rglob("*.py")):
        try:
            found[path] = path.stat().st_mtime_ns
        except FileNotFoundError:  # an editor's temporary file
            continue
    return found


def can_be_parsed(path: Path) -> bool:
    try:
        ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, OSError) as error:
        log.warning("not restarting: %s: %s", path, error)
        return False
    return True
