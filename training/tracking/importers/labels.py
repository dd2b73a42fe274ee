"""Tags and descriptions that people gave to runs of a storage root: one hidden file for all of them."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from training.tracking.importers.documents import read_document
from training.tracking.job_files import opened_folder, root_above

NAME = ".experiments_metadata.json"
MOST_BYTES = 64 * 1024**2
# As everywhere: so many tags, and so long.
MOST_TAGS, TAG_LENGTH, NOTES_LENGTH = 100, 100, 100_000


@dataclass(frozen=True)
class Label:
    tags: list[str] = field(default_factory=list)
    notes: str = ""

    def as_json(self) -> dict[str, Any]:
        return {"tags": self.tags, "notes": self.notes}


def read_labels(root: Path) -> dict[str, Label]:
    """By run id; nothing when there is no such file, or none that can be read."""
    with opened_folder(root_above(root), root) as folder:
        found = read_document(folder, NAME, MOST_BYTES) if folder is not None else None
    return {run_id: label_of(said) for run_id, said in (found or {}).items() if isinstance(said, dict)}


def label_of(said: dict[str, Any]) -> Label:
    tags, notes = said.get("tags"), said.get("description")
    texts = [tag for tag in tags if isinstance(tag, str) and tag] if isinstance(tags, list) else []
    unique = list(dict.fromkeys(tag[:TAG_LENGTH] for tag in texts))[:MOST_TAGS]
    return Label(unique, notes[:NOTES_LENGTH] if isinstance(notes, str) else "")
