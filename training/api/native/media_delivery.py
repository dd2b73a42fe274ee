"""Pictures of runs outside the queue, on their way in."""

import re
import tempfile
from typing import IO, Any

from django.conf import settings
from django.http import HttpResponse

from mlserver.api.forms import FileForm
from mlserver.api.rendering import json_response
from mlserver.errors import Invalid, shown
from training.api.native.media_json import COLUMNS, render_media
from training.models import Run, RunMedia
from training.tracking import pictures
from training.tracking.instants import instant

# What is larger waits on the disk.
IN_MEMORY_BYTES = 256 * 1024
MAX_KEY, MAX_CAPTION = 255, 10_000
FORM: dict[str, Any] = {
    "multipart/form-data": {
        "type": "object",
        "properties": {
            "file": {"type": "string", "format": "binary", "description": "with its file name"},
            "key": {"type": "string", "maxLength": MAX_KEY, "description": "default: the file name"},
            "step": {"type": "integer"},
            "caption": {"type": "string", "maxLength": MAX_CAPTION},
            "time": {"type": "number", "description": "seconds since 1970, default: now"},
        },
        "required": ["file"],
    }
}


class Draft:
    """A picture on its way in, as a file without a name."""

    def __init__(self) -> None:
        self.file: IO[bytes] = tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES)  # noqa: SIM115  closed by `discard`

    def write(self, data: bytes) -> None:
        self.file.write(data)

    def discard(self) -> None:
        self.file.close()


class PictureReceiver:
    """See mlserver.api.uploads.Receiver."""

    checked_for = None

    def __init__(self, run: Run, content_type: str) -> None:
        self._run = run
        self._form = FileForm(content_type, Draft, lambda: int(settings.MAX_MEDIA_BYTES))

    def write(self, data: bytes) -> None:
        self._form.write(data)

    def check(self) -> None:
        """Its first bytes say enough."""

    def finish(self) -> HttpResponse:
        draft = self._form.whole()
        try:
            name = pictures.checked_name(self._form.file_name)
            about = about_picture(name, self._form.fields)
            is_new = pictures.keep(self._run, name, draft.file)
        finally:
            draft.discard()
        row, _ = RunMedia.objects.get_or_create(run=self._run, name=name, defaults=about)
        self._run.note_heartbeat()
        (body,) = render_media(self._run, [{column: getattr(row, column) for column in COLUMNS}])
        return json_response(body, status=201 if is_new else 200, headers={"Location": str(body["url"])})

    def abort(self) -> None:
        self._form.discard()


def about_picture(name: str, fields: dict[str, str]) -> dict[str, Any]:
    """Columns of its row. Raises Invalid."""
    key, caption, step = fields.get("key") or name, fields.get("caption", ""), fields.get("step", "")
    for field, text, most in (("key", key, MAX_KEY), ("caption", caption, MAX_CAPTION)):
        if len(text) > most or "\0" in text:
            raise Invalid.field(field, f"{shown(text)} must be at most {most} characters without NUL")
    if step and not (re.fullmatch(r"-?[0-9]{1,19}", step) and abs(int(step)) < 2**63):
        raise Invalid.field("step", f"{shown(step)} must be a whole number of 64 bits")
    try:
        time = float(fields["time"]) if "time" in fields else None
    except ValueError:
        raise Invalid.field("time", f"{shown(fields['time'])} must be seconds since 1970") from None
    return {"key": key, "caption": caption, "step": int(step) if step else None, "logged_at": instant(time)}
