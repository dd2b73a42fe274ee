"""The only place that builds paths of runs. Nothing a user names leaves its root."""

import hashlib
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

from django.conf import settings

RESERVED = {"runs", "artifacts", ".runicorn", ".", ".."}
SEGMENT_BYTES = 240
# In a run directory: the records of its job, and what a training session leaves.
EVENTS_NAME, MODEL_NAME, FAILURE_NAME = "events.jsonl", "model.pth", "failure.json"
# The pictures that it logs lie there.
MEDIA_NAME = "media"
# What the SDK says there of the run as a whole.
SUMMARY_NAME, STATUS_NAME, ENVIRONMENT_NAME = "summary.json", "status.json", "environment.json"


@lru_cache(maxsize=4096)
def segment(name: str) -> str:
    """`name` as one directory name: percent-encoded, at most 240 bytes, never a reserved word.

    Letters, digits and `-_. ` stay as they are; a name that is too long keeps its start and gets a digest
    of the whole, so two long names never meet.
    """
    encoded = quote(name, safe=" ", errors="surrogateescape") or "%00"
    if encoded.lower() in RESERVED or encoded.startswith("."):
        encoded = f"%{ord(encoded[0]):02X}{encoded[1:]}"
    if len(encoded) <= SEGMENT_BYTES:
        return encoded
    digest = hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest()[:16]
    return f"{encoded[: SEGMENT_BYTES - 17].rstrip('%')}~{digest}"


def runs_root() -> Path:
    return settings.MLSERVER_HOME / "runs"


def runs_dir(project: str, name: str) -> Path:
    """Where the directories of all runs of this name lie."""
    return runs_root() / segment(project) / segment(name or "default") / "runs"


def run_dir(project: str, name: str, run_id: str) -> Path:
    """Directory of the job's own files; owned by the job, so nothing in it is trusted."""
    return runs_dir(project, name) / segment(run_id)


def log_name(rank: int) -> str:
    return "logs.txt" if rank == 0 else f"logs.{rank}.txt"


def runicorn_name(rank: int) -> str:
    """In a run directory: the storage root of Runicorn's tracking library for one rank."""
    return ".runicorn" if rank == 0 else f".runicorn.{rank}"


def piece_name(name: str, base: int) -> str:
    """A piece of a rotated log or index whose first byte is number `base` of the whole log, once it is full."""
    return f"{name}.{base:015d}"


def sessions_root() -> Path:
    return settings.MLSERVER_HOME / "sessions"


def session_dir(session_id: str) -> Path:
    """Checkpoints of a training session, over all its runs; owned by the job, so nothing in it is trusted."""
    return sessions_root() / segment(session_id)


def sdk_root() -> Path:
    """On the module path of jobs: the client, and nothing else of the server."""
    return settings.MLSERVER_HOME / "sdk"


def control_root() -> Path:
    return settings.MLSERVER_HOME / "control"


def control_dir(run_id: str, rank: int = 0) -> Path:
    """0700, outside the job's reach: supervisor.json, exec.json, logs.idx, stop.json, exit.json."""
    base = control_root() / segment(run_id)
    return base if rank == 0 else base / f"rank{rank}"


def agent_fifo() -> Path:
    """Supervisors and launches write `<run_id>\\n` here; the agent reads."""
    return control_root() / "agent.fifo"
