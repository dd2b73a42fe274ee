"""A form with one file, as browsers send it (RFC 7578)."""

import mimetypes
import secrets
from collections.abc import Mapping
from typing import Any


def multipart(fields: Mapping[str, Any], file_name: str, content: bytes) -> tuple[str, bytes]:
    """Content type and body; fields of None are left out. `file_name` is one of ours, without quotes."""
    border = secrets.token_hex(16)
    parts = [
        f'--{border}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
        if value is not None
    ]
    kind = mimetypes.guess_type(file_name)[0] or "application/octet-stream"
    head = f'Content-Disposition: form-data; name="file"; filename="{file_name}"\r\nContent-Type: {kind}'
    file = f"--{border}\r\n{head}\r\n\r\n".encode() + content
    return f"multipart/form-data; boundary={border}", b"".join([*parts, file, f"\r\n--{border}--\r\n".encode()])
