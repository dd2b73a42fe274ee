"""Pictures of adopted runs, brought into `media/` of the run that they are a part of, where all pictures lie."""

import contextlib
import errno
import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from training import paths
from training.models import Run
from training.tracking import media
from training.tracking.job_files import FOLDER, NOT_A_FILE, opened_at, opened_folder
from training.tracking.spool import Record

# What file systems without hard links answer.
NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.EXDEV}
COPY_BYTES, LARGEST_COPY = 1024**2, 64 * 1024**2

log = logging.getLogger(__name__)


def keep(run: Run, folder: Path, records: list[Record]) -> None:
    """A link in the run's `media/` to each picture that `records` name in that of `folder`. Safe to repeat.

    Both directories are the job's: they are opened without following links, and what is no regular file stays out.
    """
    names = [row.name for record in records if (row := media.row_of(run, record)) is not None]
    if not names:
        return
    with opened_folder(paths.runs_root(), folder / paths.MEDIA_NAME) as there, media_of(run) as here:
        if there is None or here is None:
            log.warning("run %s: %d pictures are in no directory", run.pk, len(names))
            return
        for name in names:
            try:
                link(there, here, name)
            except OSError as error:
                log.warning("run %s: picture %r was left out: %s", run.pk, name, error)


@contextlib.contextmanager
def media_of(run: Run) -> Iterator[int | None]:
    """Its directory of pictures, made where there is none; it belongs to whom the run directory belongs."""
    with opened_folder(paths.runs_root(), run.directory) as folder:
        if folder is None:
            yield None
            return
        with contextlib.suppress(FileExistsError):
            os.mkdir(paths.MEDIA_NAME, 0o750, dir_fd=folder)
            owner = os.fstat(folder)
            if owner.st_uid != os.geteuid():
                os.chown(paths.MEDIA_NAME, owner.st_uid, owner.st_gid, dir_fd=folder, follow_symlinks=False)
        descriptor = opened(folder)
        try:
            yield descriptor
        finally:
            if descriptor is not None:
                os.close(descriptor)


def opened(folder: int) -> int | None:
    try:
        return os.open(paths.MEDIA_NAME, FOLDER, dir_fd=folder)
    except OSError as error:
        if error.errno in NOT_A_FILE:
            return None
        raise


def link(there: int, here: int, name: str) -> None:
    if not stat.S_ISREG(os.stat(name, dir_fd=there, follow_symlinks=False).st_mode):
        raise OSError(errno.EINVAL, "it is no regular file")
    try:
        os.link(name, name, src_dir_fd=there, dst_dir_fd=here, follow_symlinks=False)
    except FileExistsError:
        return
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        copy(there, here, name)


def copy(there: int, here: int, name: str) -> None:
    with opened_at(there, name) as source:
        if source is None or source.size > LARGEST_COPY:
            raise OSError(errno.EFBIG, "it is too large to be copied")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with contextlib.suppress(FileExistsError), open(os.open(name, flags, 0o640, dir_fd=here), "wb") as target:
            for start in range(0, source.size, COPY_BYTES):
                target.write(source.read(start, start + COPY_BYTES))
