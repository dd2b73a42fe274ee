"""Names of content in MODELS_DIR and DATASETS_DIR: hard links into the store, or copies on another file system."""

import os
import re
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from registry.blobs import NO_LINKS, path_of, refusing_when_full, sync_directory
from registry.copies import copy
from registry.job_access import let_jobs_read, prepare_directory
from registry.models import ArtifactType

SUFFIX = re.compile(r"(\.tar)?\.[A-Za-z0-9]{1,12}$", re.IGNORECASE)


def links_root(type: str) -> Path | None:
    """Directory of the links of a type; None for a type that has none."""
    if type == ArtifactType.MODEL:
        return Path(settings.MODELS_DIR)
    if type == ArtifactType.DATASET:
        return Path(settings.DATASETS_DIR)
    return None


def prepare_directories() -> None:
    """Make MODELS_DIR and DATASETS_DIR; raises ImproperlyConfigured when one cannot be made or written."""
    for name in ("MODELS_DIR", "DATASETS_DIR"):
        directory = Path(getattr(settings, name))
        try:
            prepare_directory(directory)
        except OSError as error:
            raise ImproperlyConfigured(f"{name}={directory} cannot be used: {error.strerror}") from error
        if not os.access(directory, os.W_OK | os.X_OK):
            raise ImproperlyConfigured(f"{name}={directory} is not writable by this user")


def link_name(name: str, file_name: str, at: datetime, copy: int = 1) -> str:
    """`<name>_<YYYYMMDD_HHMMSS><suffix>`; `copy` tells apart those of one name and second."""
    found = SUFFIX.search(file_name)
    tail = "" if copy == 1 else f"-{copy}"
    return f"{name}_{at:%Y%m%d_%H%M%S}{tail}{found[0].lower() if found else ''}"


def make_link(root: Path, name: str, digest: str) -> Path:
    """Make sure that `root/name` is the content `digest` and that jobs may read it; two callers at once agree.

    Another file there, of another size, is replaced. Raises FileNotFoundError without that content, OutOfSpace when a
    copy does not fit, and Unfinished in a queue task that made a part of it.
    """
    with refusing_when_full():
        prepare_directory(root)
        blob, link = path_of(digest), root / name
        if not is_same(blob, link):
            put(blob, link)
            sync_directory(root)
        file = os.open(link, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            let_jobs_read(file)
        finally:
            os.close(file)
    return link


def is_same(blob: Path, link: Path) -> bool:
    """By inode; a copy, which has its own, by its size."""
    wanted = blob.stat()
    try:
        there = link.lstat()
    except FileNotFoundError:
        return False
    return os.path.samestat(wanted, there) or (there.st_nlink == 1 and there.st_size == wanted.st_size)


def put(blob: Path, link: Path) -> None:
    for _ in range(2):
        try:
            os.link(blob, link)
            return
        except FileExistsError:
            link.unlink(missing_ok=True)  # other content: damaged, or cut short by a restored backup
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            copy(blob, link)
            return


def remove_link(root: Path, name: str) -> bool:
    """Whether there was one."""
    try:
        (root / name).unlink()
    except FileNotFoundError:
        return False
    return True
