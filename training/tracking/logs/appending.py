"""Text that comes over HTTP, put at the end of the log of a run outside the queue: exactly there, or not at all."""

import contextlib
import fcntl
import os

from django.conf import settings

from mlserver.errors import Conflict, TooLarge
from registry.blobs import refusing_when_full, write_whole
from training import paths
from training.models import Event, Run
from training.tracking.own_files import made_folder, opened_to_append, refuse_others


def append(run: Run, offset: int, text: bytes) -> int:
    """Write `text` at `offset` (bytes), which must be the end of the log; the new end.

    Of two at once with one offset one is written. A server killed in the middle leaves a beginning of `text`, and
    the end of the log says how much. Raises Conflict that ends with the expected offset, TooLarge beyond the limit
    of logs, OutOfSpace, and then nothing of `text` is left.
    """
    refuse_others(run)
    with refusing_when_full(), made_folder(run) as folder, opened_to_append(run, folder, paths.log_name(0)) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        end = os.fstat(file).st_size
        if offset != end:
            said = f"{offset} is not the end of the log of run {run.pk}: the next byte is number {end}"
            raise Conflict(f"Upload-Offset: {said}", errors={"Upload-Offset": [said]})
        if end + len(text) > settings.LOG_LIMIT_BYTES:
            _say_limit(run)
        with contextlib.ExitStack() as unwritten:
            unwritten.callback(os.ftruncate, file, end)
            write_whole(file, text)
            unwritten.pop_all()
        return end + len(text)


def _say_limit(run: Run) -> None:
    said = f"a log has at most {settings.LOG_LIMIT_BYTES} bytes (MLSERVER_LOG_LIMIT_MIB)"
    Event.objects.say_again("LogLimit", f"text was refused: {said}", run=run)
    raise TooLarge(f"the log of run {run.pk} takes no more: {said}")
