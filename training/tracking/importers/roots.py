"""Which storage roots are known, and which of them the agent follows."""

import os
from pathlib import Path

from django.contrib.auth.models import User

from mlserver.errors import Invalid
from mlserver.text import is_storable
from training import paths
from training.models import ImportedRoot
from training.tracking.importers.layout import PATH_BYTES


def register_root(path: Path, owner: User, *, is_followed: bool | None = None) -> ImportedRoot:
    """The root at `path`, links resolved. `owner` owns the runs that are new in it from now on.

    `is_followed` None leaves that as it is. Raises Invalid for what is no directory that can be listed.
    """
    root, _ = ImportedRoot.objects.get_or_create(path=checked_root(path), defaults={"owner": owner})
    if is_followed is not None:
        root.is_followed = is_followed
    root.owner = owner
    root.save(update_fields=["owner", "is_followed"])
    return root


def checked_root(path: Path) -> str:
    try:
        resolved = path.expanduser().resolve(strict=True)
        with os.scandir(resolved):
            pass
    except (OSError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise Invalid.field("root", f"{path} is no directory that can be listed: {reason}") from error
    if resolved == paths.runs_root().resolve():
        return str(paths.runs_root())
    if not is_storable(str(resolved)) or len(os.fsencode(resolved)) > PATH_BYTES:
        raise Invalid.field("root", f"the path of a root must be text of at most {PATH_BYTES} bytes")
    return str(resolved)
