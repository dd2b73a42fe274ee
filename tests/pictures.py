"""The smallest pictures of each kind, made by Pillow."""

import io

from PIL import Image

FORMATS = {"image/png": "PNG", "image/jpeg": "JPEG", "image/gif": "GIF", "image/webp": "WEBP", "image/bmp": "BMP"}


def picture(format: str = "PNG", color: int = 0) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (4, 4), (color, 0, 0)).save(file, format=format)
    return file.getvalue()
