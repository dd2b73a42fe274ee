"""Which part of a log a reader wants, and how it wants it shown."""

from dataclasses import dataclass
from enum import IntEnum


class Stream(IntEnum):
    """Who wrote a piece of the log; the number is the stream byte of an index record."""

    SERVER = 0
    STDOUT = 1
    STDERR = 2

    @property
    def word(self) -> str:
        return self.name.lower()


@dataclass(frozen=True)
class Selection:
    """`stream` None means all of the file as it is; `search` keeps lines that contain it."""

    stream: Stream | None = None
    search: str = ""
    collapse: bool = False

    @property
    def needle(self) -> bytes:
        return self.search.encode(errors="replace")
