r"""Progress bars as a terminal shows them in the end: what rewrites its line, or the lines above it, leaves one state.

Bars that are nested write `\n`, their state, and the control sequence that moves the cursor up again (ECMA-48, CUU), as
tqdm does. Of other sequences colours are kept and all else is dropped. A state without visible text rewrites nothing:
what a bar showed before it was wiped is what the reader wants.
"""

import re
from dataclasses import dataclass

# Parameters, intermediate bytes, final byte.
SEQUENCE = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]")
# All but `m`; removed without a call for each, for a log may hold nothing else.
NO_COLOUR = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-ln-~]")
# With more digits it is none: no screen has so many lines, and Python refuses to read a number of thousands.
MOVE = re.compile(rb"\x1b\[(\d{0,99})([AB])")
UPWARD = re.compile(rb"\x1b\[\d{0,99}A")
ESCAPE = b"\x1b["


@dataclass
class Row:
    """A line of the screen; `start` and `end` are those of the line of the log that wrote its text."""

    start: int
    end: int
    text: bytes = b""


def moves_up(data: bytes) -> bool:
    """Whether anything rewrites lines above it."""
    return UPWARD.search(data) is not None


def rows(data: bytes, spans: list[tuple[int, int]]) -> list[Row]:
    """What the lines at `spans` of `data` leave on the screen, in the order in which it was written.

    The last row ends where the last line does.
    """
    screen: dict[int, Row] = {}
    cursor = 0
    for start, end in spans:
        screen.setdefault(cursor, Row(start, end))
        for step, text in strokes(data[start:end]):
            cursor += step
            if text:
                screen[cursor] = Row(start, end, text)
        cursor += 1
    found = [row for _, row in sorted(screen.items(), key=lambda item: (item[1].start, item[0]))]
    if found:
        found[-1].end = spans[-1][1]
    return found


def strokes(raw: bytes) -> list[tuple[int, bytes]]:
    """The states that one line of the log writes: how many lines below the one before each is, and its text."""
    found: list[tuple[int, bytes]] = []
    position = step = 0
    for move in MOVE.finditer(raw):
        found.append((step, last_state(raw[position : move.start()])))
        position, step = move.end(), int(move[1] or 1) * (-1 if move[2] == b"A" else 1)
    return [*found, (step, last_state(raw[position:]))]


def last_state(raw: bytes) -> bytes:
    r"""What a progress bar that rewrites its line with `\r` showed last: the last state that is not blank."""
    if ESCAPE in raw:
        raw = NO_COLOUR.sub(b"", raw)
    raw = raw.removesuffix(b"\n")
    if b"\r" not in raw:
        return raw
    end = len(raw)
    while end > 0:
        start = raw.rfind(b"\r", 0, end) + 1
        state = raw[start:end].rstrip()
        if SEQUENCE.sub(b"", state):
            return state
        end = start - 1
    return b""
