"""Content for tests of the store."""

from pathlib import Path
from typing import Any

from registry.blobs import Incoming, blobs_root
from registry.models import ArtifactVersion
from registry.publish import publish


def incoming(content: bytes = b"weights") -> Incoming:
    """Written, not kept."""
    file = Incoming.create()
    file.write(content)
    return file


def published(name: str = "net", content: bytes = b"weights", **changes: Any) -> ArtifactVersion:
    """A model of one file, owned by nobody."""
    with incoming(content) as file:
        return publish(file, **{"type": "model", "name": name, "owner": None, "file_name": "net.pth", **changes})


def files_in_store() -> list[Path]:
    """Every file below blobs/ but the lock."""
    return sorted(path for path in blobs_root().rglob("*") if path.is_file() and path.name != "lock")
