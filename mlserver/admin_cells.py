"""Cells of the admin's lists."""

from django.utils.html import format_html

LONGEST = 28
END = 8


def shortened(text: str) -> str:
    """A name as one cell, so that it pushes no other column out: its beginning, and its end, which tells versions
    apart. The whole is shown where the pointer rests."""
    if len(text) <= LONGEST:
        return text
    return format_html('<span title="{}">{}…{}</span>', text, text[: LONGEST - END - 1], text[-END:])
