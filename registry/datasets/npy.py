"""One array in NumPy's own file format, read without NumPy's loader, so that nothing is ever unpickled."""

from __future__ import annotations

import math
import tokenize
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from registry.datasets.archives import shown
from registry.datasets.facts import Unreadable
from registry.datasets.streams import GuardedStream, Opener

if TYPE_CHECKING:
    import numpy as np

MAX_DIMENSIONS = 16
MAX_LENGTH = 1 << 40
_BLOCK_BYTES = 16 << 20
# What a damaged header leads to in NumPy, which reads it as a Python literal.
_DAMAGE = (ValueError, TypeError, LookupError, SyntaxError, ArithmeticError, RecursionError, MemoryError)


@dataclass(frozen=True)
class Array:
    """One array's header, and how to reach its bytes: `open` gives a stream that stands at the first of them."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    is_fortran: bool
    open: Opener

    @property
    def title(self) -> str:
        return _title(self.name)

    @property
    def dimensions(self) -> str | None:
        return "x".join(map(str, self.shape)) or None

    def blocks(self) -> Iterator[np.ndarray]:
        """Its values in stored order, in parts along the first axis as stored (the last one for Fortran order)."""
        import numpy as np

        shape = self.shape[::-1] if self.is_fortran else self.shape
        row_bytes = self.dtype.itemsize * math.prod(shape[1:])
        step = max(1, _BLOCK_BYTES // max(1, row_bytes))
        with self.open() as file:
            for start in range(0, shape[0], step):
                count = min(step, shape[0] - start)
                data = _exactly(file, count * row_bytes, self.title)
                yield np.frombuffer(data, self.dtype).reshape(count, *shape[1:])


def read_header(file: GuardedStream, name: str, size_bytes: int, opener: Opener) -> Array:
    """The array whose npy file begins at `file`; Unreadable when it holds objects or is not `size_bytes` long."""
    from numpy.lib import format as npy

    counted, title = _Counted(file), _title(name)
    try:
        version = npy.read_magic(counted)
        read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[version]
        shape, is_fortran, dtype = read(counted)
    except Unreadable:
        raise
    except (*_DAMAGE, tokenize.TokenError) as error:
        raise Unreadable(f"{title} is no NumPy array: its header is damaged") from error
    if dtype.hasobject:
        raise Unreadable(f"{title} holds Python objects, which are never read: save plain numbers or texts")
    _check_shape(shape, title)
    if counted.count + dtype.itemsize * math.prod(shape) != size_bytes:
        values = f"{'x'.join(map(str, shape)) or 1} values of {dtype.itemsize} bytes"
        raise Unreadable(f"{title} is damaged or cut off: {values} do not fill {size_bytes} bytes")
    return Array(name, tuple(shape), dtype, bool(is_fortran), _after(opener, counted.count))


def _check_shape(shape: tuple[int, ...], title: str) -> None:
    """Before a message shows it: a header may hold any numbers Python can."""
    if len(shape) > MAX_DIMENSIONS:
        raise Unreadable(f"{title} has {len(shape)} dimensions, at most {MAX_DIMENSIONS} are read")
    if any(isinstance(length, bool) or not 0 <= length <= MAX_LENGTH for length in shape):
        raise Unreadable(f"{title} is damaged: a length in its header is not a number from 0 to {MAX_LENGTH}")


def _title(name: str) -> str:
    return f"the array {shown(name)}" if name else "the array"


class _Counted:
    """Counts what a header takes: the data begins after it."""

    def __init__(self, file: GuardedStream) -> None:
        self._file, self.count = file, 0

    def read(self, size: int = -1, /) -> bytes:
        data = self._file.read(size)
        self.count += len(data)
        return data


def _after(opener: Opener, header_bytes: int) -> Opener:
    @contextmanager
    def opened() -> Iterator[GuardedStream]:
        with opener() as file:
            file.read(header_bytes)
            yield file

    return opened


def _exactly(file: GuardedStream, size: int, name: str) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        data = file.read(min(_BLOCK_BYTES, size - len(parts)))
        if not data:
            raise Unreadable(f"{name} is cut off")
        parts += data
    return bytes(parts)
