"""Images of a run as files below `media/`. Pillow and numpy are imported when a picture is given, not before."""

import io
import os
import re
import secrets
import time
from pathlib import Path
from typing import Any

SUFFIXES = {"jpg": "JPEG", "jpeg": "JPEG"}


def media_name(key: str, format: str) -> str:
    """`<ms>_<6 hex>_<key>.<format>`; what is no letter, digit, `.`, `_` or `-` of the key becomes `_`."""
    plain_key = re.sub(r"[^A-Za-z0-9._-]", "_", str(key))[:100] or "image"
    plain_format = re.sub(r"[^a-z0-9]", "", str(format).lower())[:10] or "png"
    return f"{time.time_ns() // 10**6}_{secrets.token_hex(3)}_{plain_key}.{plain_format}"


def content(image: Any, format: str, quality: int) -> bytes:
    """Bytes and files as they are; pictures and arrays encoded as `format`.

    Arrays: (H, W), (H, W, 1|3|4), or (1|3|4, H, W) as torch has them; uint8, or numbers from 0 to 1.
    Raises ImportError without Pillow or numpy, OSError for a file, ValueError or TypeError for what is no image.
    """
    if isinstance(image, bytes | bytearray | memoryview):
        return bytes(image)
    if isinstance(image, str | os.PathLike):
        return Path(image).read_bytes()
    picture = image if hasattr(image, "save") and hasattr(image, "mode") else from_array(image)
    kind = SUFFIXES.get(format.lower(), format.upper())
    if kind == "JPEG" and picture.mode not in ("RGB", "L", "CMYK"):
        picture = picture.convert("RGB")
    file = io.BytesIO()
    picture.save(file, format=kind, **({"quality": quality} if kind in ("JPEG", "WEBP") else {}))
    return file.getvalue()


def from_array(image: Any) -> Any:
    """A Pillow image."""
    import numpy
    from PIL import Image

    for step in ("detach", "cpu"):  # of torch
        image = getattr(image, step, lambda image=image: image)()
    array = numpy.asarray(image)
    if array.ndim == 3 and array.shape[0] in (1, 3, 4) and array.shape[2] not in (1, 3, 4):
        array = array.transpose(1, 2, 0)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise ValueError(f"an array of shape {array.shape} is no image: (H, W), (H, W, 1|3|4) or (1|3|4, H, W)")
    if array.dtype.kind == "f":
        array = numpy.nan_to_num(array).clip(0, 1) * 255 + 0.5
    elif array.dtype.kind == "b":
        array = array * 255
    return Image.fromarray(numpy.ascontiguousarray(array.clip(0, 255).astype(numpy.uint8)))
