"""Where a run writes: the directory that the server made for a queued task, or one of our own below a storage root."""

import json
import os
import re
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

RUN_ID = re.compile(r"[0-9]{8}_[0-9]{6}_[a-f0-9]{6}")


@dataclass(frozen=True)
class Place:
    """`is_queued`: the run is the server's, which reads the directory itself."""

    id: str
    project: str
    name: str
    run_dir: Path
    storage_root: Path
    is_queued: bool = False


def queued_place() -> Place | None:
    """Inside a queued task, the run that the server made for it."""
    run_id, directory = os.environ.get("MLSERVER_RUN_ID"), os.environ.get("MLSERVER_RUN_DIR")
    if not run_id or not directory:
        return None
    run_dir = Path(directory)
    # <root>/<project>/<name>/runs/<id>, each segment percent-encoded by the server
    root = run_dir.parents[min(3, len(run_dir.parents) - 1)]
    parts = run_dir.relative_to(root).parts
    project, name = map(unquote, parts[:2]) if len(parts) == 4 else ("default", "default")
    return Place(run_id, project, name, run_dir, root, is_queued=True)


def own_place(project: str, name: str | None, storage: str | os.PathLike[str] | None, run_id: str | None) -> Place:
    """A place outside the queue, its directory not made yet. Raises ValueError on a bad id or name."""
    if run_id is not None and not RUN_ID.fullmatch(run_id):
        raise ValueError(f"run_id {run_id!r} is none: it must read YYYYMMDD_HHMMSS_xxxxxx, six hexadecimal digits last")
    project, name = checked("project", project), checked("name", name or "default")
    root, run_id = storage_root(storage), run_id or new_run_id()
    return Place(run_id, project, name, root / project / name / "runs" / run_id, root)


def new_run_id() -> str:
    return time.strftime("%Y%m%d_%H%M%S_") + secrets.token_hex(3)


def checked(what: str, text: str) -> str:
    """`text` as a directory of its own: raises ValueError when it would be another or none."""
    if not isinstance(text, str) or not 1 <= len(text) <= 100:
        raise ValueError(f"{what} must be a text of 1 to 100 characters")
    if ".." in text or "/" in text or "\\" in text or "\0" in text or text in (".", "runs", "artifacts", ".runicorn"):
        raise ValueError(f"{what} {text!r} cannot name a directory: use another word, without '/', '\\' and '..'")
    return text


def storage_root(given: str | os.PathLike[str] | None) -> Path:
    """`given`, else RUNICORN_DIR, else the root of the user's runicorn configuration, else ./.runicorn; absolute."""
    chosen = given or os.environ.get("RUNICORN_DIR") or configured_root() or ".runicorn"
    return Path(os.path.expandvars(chosen)).expanduser().absolute()


def configured_root() -> str | None:
    """`user_root_dir` in ~/.config/runicorn/config.json, which `runicorn config --set-user-root` writes."""
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    try:
        found = json.loads(Path(base, "runicorn", "config.json").read_text())
        root = found.get("user_root_dir")
    except (OSError, ValueError, AttributeError):
        return None
    return root if isinstance(root, str) else None
