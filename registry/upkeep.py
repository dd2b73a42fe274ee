"""Clear up after writers that were killed, and free what nothing refers to.

Deleting and publishing never meet. A publisher holds a share of the store (`store_lock`) from before its bytes get
their name in the store until the rows that refer to them are committed; the kernel ends the share of one that was
killed. Whatever is deleted here is found to be unused while the store is ours alone, so at that moment no publisher is
between the two steps: what has no row then will get none, and a publisher that comes later waits for the few
milliseconds and writes its bytes again. When somebody publishes just then, the rest is left to the next time.
A row goes before its file: killed in between, we leave a file without a row, which the next upkeep finds.
"""

import fcntl
import logging
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from mlserver.errors import NotFound, OutOfSpace
from registry.blobs import INCOMING, blobs_root, path_of
from registry.copies import COPYING, Unfinished
from registry.links import links_root, remove_link
from registry.models import ArtifactFile, ArtifactType, Blob, VersionStatus
from registry.publish import link
from registry.store_lock import alone

log = logging.getLogger(__name__)

# A task of the queue must be short: what is left after this is done the next time. One copy may begin before (copies).
BUDGET_S = 5.0


@dataclass
class Done:
    """What one upkeep did; `is_complete` is false when the time was over, in a copy too, or somebody was publishing."""

    incoming: int = 0
    blobs: int = 0
    freed_bytes: int = 0
    links_made: int = 0
    links_removed: int = 0
    is_complete: bool = True

    def __str__(self) -> str:
        numbers = [f"{field.name} {getattr(self, field.name)}" for field in fields(self) if field.type is not bool]
        return ", ".join(numbers) + ("" if self.is_complete else ", to be continued")


def upkeep(budget_s: float = BUDGET_S) -> Done:
    """May run beside itself and beside everything else; safe to repeat."""
    done, deadline = Done(), time.monotonic() + budget_s
    for directory in (blobs_root(), Path(settings.MODELS_DIR), Path(settings.DATASETS_DIR)):
        done.incoming += remove_dead_incoming(directory)
    remove_unused(done, deadline)
    mend_links(done, deadline)
    return done


def remove_dead_incoming(directory: Path) -> int:
    """Files on their way whose writer is gone: it held a lock on them as long as it lived."""
    return sum(remove_if_dead(path) for path in directory.glob(f"{INCOMING}*"))


def remove_if_dead(path: Path) -> bool:
    """Whether it was one: links, pipes, directories and what cannot be opened are no writer's of ours."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return False
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
    except BlockingIOError:
        return False
    finally:
        os.close(file)
    return True


def remove_unused(done: Done, deadline: float) -> None:
    for digest in unused_digests():
        if time.monotonic() > deadline:
            done.is_complete = False
            return
        with alone() as is_alone:
            if not is_alone:
                done.is_complete = False
                return
            freed = remove_content(digest)
        if freed is not None:
            done.blobs += 1
            done.freed_bytes += freed


def unused_digests() -> Iterator[str]:
    """What looks unused now: rows that no file refers to, and files of the store that have no row."""
    yield from unused_blobs().values_list("pk", flat=True)
    for directory in sorted((blobs_root() / "sha256").glob("??")):
        on_disk = {path.name for path in directory.iterdir()}
        known = Blob.objects.filter(pk__startswith=directory.name).values_list("pk", flat=True)
        yield from sorted(on_disk.difference(known))


def unused_blobs() -> QuerySet[Blob]:
    return Blob.objects.filter(~Exists(ArtifactFile.objects.filter(blob=OuterRef("pk"))))


def remove_content(digest: str) -> int | None:
    """Bytes that were freed; None when it is used after all, or is no content of ours. The store must be ours alone."""
    with transaction.atomic():
        unused_blobs().filter(pk=digest).delete()
        if Blob.objects.filter(pk=digest).exists():
            return None
    try:
        path = path_of(digest)
        size_bytes = path.stat().st_size
        path.unlink()
    except (ValueError, FileNotFoundError):
        return None
    return size_bytes


def mend_links(done: Done, deadline: float) -> None:
    """Make links that are missing, after a kill between commit and link; remove those of deleted versions.

    Only names that rows know are touched: MODELS_DIR may hold files of people beside ours.
    """
    for type in (ArtifactType.MODEL, ArtifactType.DATASET):
        root = links_root(type)
        there = names_in(root)
        files = ArtifactFile.objects.filter(version__artifact__type=type).exclude(link_name="")
        for file in files.select_related("version__artifact").iterator():
            if time.monotonic() > deadline:
                done.is_complete = False
                return
            mend_link(file, root, there, done)
        remove_stale_drafts(type, root)


def remove_stale_drafts(type: str, root: Path | None) -> None:
    """Parts of copies that nobody wants any more, because the versions were deleted meanwhile."""
    for draft in root.glob(f"{COPYING}*") if root is not None else ():
        wanting = ArtifactFile.objects.filter(
            blob=draft.name.removeprefix(COPYING),
            version__artifact__type=type,
            version__status=VersionStatus.READY,
        )
        if not wanting.exists():
            remove_if_dead(draft)


def names_in(root: Path | None) -> set[str]:
    return {path.name for path in root.iterdir()} if root is not None and root.is_dir() else set()


def mend_link(file: ArtifactFile, root: Path | None, there: set[str], done: Done) -> None:
    is_wanted = file.version.status == VersionStatus.READY
    try:
        if is_wanted and file.link_name not in there:
            link(file)
            done.links_made += 1
        elif root is not None and file.version.status == VersionStatus.DELETED and file.link_name in there:
            done.links_removed += remove_link(root, file.link_name)
    except Unfinished as unfinished:
        done.is_complete = False
        log.info("the link %s is not made yet: %s", file.link_name, unfinished)
    except (OSError, OutOfSpace, NotFound) as error:
        log.warning("the link %s cannot be mended: %s", file.link_name, error)


def purge(older_than: timedelta, *, is_dry_run: bool = False) -> tuple[int, int]:
    """Versions that lost their content, and the bytes it takes on disk where nothing else holds it.

    Those that were deleted longer ago than `older_than`. The versions stay, so their numbers do not come again.
    The bytes are freed by the upkeep that should follow.
    """
    gone = ArtifactFile.objects.filter(
        version__status=VersionStatus.DELETED, version__deleted_at__lte=timezone.now() - older_than
    )
    versions = gone.values("version").distinct().count()
    only_here = ~Exists(ArtifactFile.objects.filter(blob=OuterRef("pk")).exclude(pk__in=gone.values("pk")))
    sizes = Blob.objects.filter(only_here, files__in=gone).distinct().values_list("size_bytes", flat=True)
    freed_bytes = sum(sizes)
    if not is_dry_run:
        for type, name in gone.values_list("version__artifact__type", "link_name"):
            root = links_root(type)
            if root is not None and name:
                remove_link(root, name)
        gone.delete()
    return versions, freed_bytes
