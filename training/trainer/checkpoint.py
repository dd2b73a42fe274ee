"""The state of a session between its runs."""

import pickle
import time
import zipfile
from pathlib import Path
from typing import Any

import torch

from training.trainer.files import replace_file
from training.trainer.report import say

FORMAT = 1
EVERY_S = 30
# Of a slow disk: at most the fiftieth part of the time goes into checkpoints.
SHARE = 50


class Checkpoints:
    """`checkpoint.pt` of a session. `settings` must be the same for a later run to go on from it."""

    def __init__(self, session_dir: Path, settings: dict[str, Any]) -> None:
        self.path = session_dir / "checkpoint.pt"
        self.settings = settings
        self._saved_at = time.monotonic()
        self._took_s = 0.0

    def is_due(self) -> bool:
        return time.monotonic() - self._saved_at >= max(EVERY_S, SHARE * self._took_s)

    def save(self, state: dict[str, Any]) -> None:
        """Raises Failure when the disk refuses; the checkpoint before stays."""
        began = time.monotonic()
        content = {"format": FORMAT, "settings": self.settings, **state}
        replace_file(self.path, lambda file: torch.save(content, file))
        self._saved_at = time.monotonic()
        self._took_s = self._saved_at - began

    def load(self) -> dict[str, Any] | None:
        """None without one that fits; one that does not is left in place until the next save."""
        if not self.path.exists():
            return None
        try:
            content = read(self.path)
        except DAMAGED as error:
            say("WARNING", f"the checkpoint is damaged, the training starts over: {error}")
            return None
        different = sorted(differences(content.get("settings"), self.settings))
        if content.get("format") != FORMAT or different:
            what = ", ".join(different) or "format"
            say("WARNING", f"the checkpoint is of another training ({what} differ), this one starts from the beginning")
            return None
        return content

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)


# What torch and zipfile raise on files that are cut, altered or something else.
DAMAGED = (OSError, RuntimeError, ValueError, LookupError, EOFError, AttributeError, TypeError, pickle.UnpicklingError, zipfile.BadZipFile)  # fmt: skip  # noqa: E501


def read(path: Path) -> dict[str, Any]:
    """Raises one of DAMAGED. torch does not look at the check sums that it writes."""
    with zipfile.ZipFile(path) as archive:
        if (bad := archive.testzip()) is not None:
            raise ValueError(f"check sum of {bad} is wrong")
    content = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(content, dict):
        raise ValueError("no dictionary in it")
    return content


def differences(theirs: Any, ours: dict[str, Any]) -> set[str]:
    if not isinstance(theirs, dict):
        return {"settings"}
    return {name for name in theirs.keys() | ours.keys() if theirs.get(name) != ours.get(name)}
