"""A form with one file on its way into the blob store, piece by piece as it arrives."""

import contextlib
from collections.abc import Callable
from pathlib import Path

from django.conf import settings
from django.http import HttpResponse

from mlserver.api.forms import FileForm
from registry.blobs import Incoming
from registry.datasets.facts import Facts


class FileReceiver:
    """Takes the part `file`; other parts are read and forgotten. See mlserver.api.uploads.Receiver.

    `publish(incoming, file_name, facts)` is called when the whole form was read; what it does not keep is removed.
    The facts are what `inspect(path, file_name)` found before, None without it; `user` is who waits for that.
    Raises what FileForm raises, and OutOfSpace.
    """

    def __init__(
        self,
        content_type: str,
        publish: Callable[[Incoming, str, Facts | None], HttpResponse],
        *,
        inspect: Callable[[Path, str], Facts] | None = None,
        user: int | None = None,
    ) -> None:
        self._form = FileForm(content_type, Incoming.create, lambda: int(settings.MAX_UPLOAD_BYTES))
        self._publish = publish
        self._inspect = inspect
        self.checked_for = user if inspect is not None else None
        self._facts: Facts | None = None

    def write(self, data: bytes) -> None:
        self._form.write(data)

    def check(self) -> None:
        if self._inspect is None:
            return
        with contextlib.ExitStack() as refused:
            refused.callback(self.abort)
            self._facts = self._inspect(self._form.whole().path, self._form.file_name)
            refused.pop_all()

    def finish(self) -> HttpResponse:
        with self._form.whole() as incoming:
            return self._publish(incoming, self._form.file_name, self._facts)

    def abort(self) -> None:
        self._form.discard()
