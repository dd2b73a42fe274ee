"""Samples in NumPy files: headers read without NumPy's own loader, so that nothing is ever unpickled."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, TypeAlias

from registry.datasets.archives import opened_zip_member, shown, zip_members
from registry.datasets.facts import Facts, Unreadable
from registry.datasets.labels import Labels, LabelSurvey
from registry.datasets.streams import GuardedStream, Opener

if TYPE_CHECKING:
    import numpy as np

ZipOpener: TypeAlias = Callable[[], AbstractContextManager[IO[bytes]]]

PAIRS = (("x", "y"), ("X", "y"), ("data", "labels"), ("images", "labels"), ("data", "target"), ("x_train", "y_train"))
CHANNELS = (1, 3, 4)
_BLOCK_BYTES = 16 << 20
_NUMBERS = "biuf"


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


@dataclass(frozen=True)
class ArrayPair:
    """Inputs and labels of one file; `inputs` and `labels` are None when there is nothing to train on."""

    facts: Facts
    inputs: Array | None = None
    label_array: Array | None = None
    labels: Labels | None = None

    @property
    def dtype(self) -> str:
        is_bytes = self.inputs is not None and self.inputs.dtype == "uint8" and len(self.facts.input_shape) == 3
        return "uint8" if is_bytes else "float32"

    def fill(self, inputs: np.ndarray, labels: np.ndarray, *, as_numbers: bool) -> None:
        """Write all samples: `inputs` (n, *input_shape) of `dtype`, `labels` (n,) as Labels.encoded() gives them."""
        import numpy as np

        assert self.inputs is not None and self.label_array is not None and self.labels is not None
        view = _stored_view(inputs, self.inputs)
        start = 0
        with np.errstate(over="ignore"):
            for block in self.inputs.blocks():
                view[start : start + len(block)] = block
                start += len(block)
        start = 0
        for values in _label_values(self.label_array):
            labels[start : start + len(values)] = self.labels.encoded(values, as_numbers=as_numbers)
            start += len(values)


def survey_npy(opener: Opener, size_bytes: int) -> ArrayPair:
    """One array has no labels: it is described and cannot be trained on."""
    with opener() as file:
        array = read_header(file, "", size_bytes, opener)
    reason = "one array has no labels: save inputs and labels together with numpy.savez(file, x=..., y=...)"
    return ArrayPair(_untrainable(array, reason))


def survey_npz(opener: ZipOpener) -> ArrayPair:
    """Find inputs and labels among the arrays of a zip file; reads the labels, but no inputs."""
    arrays = _arrays(opener)
    if not arrays:
        raise Unreadable("the npz file holds no array")
    inputs, labels = _pair(arrays)
    if labels is None:
        return ArrayPair(_untrainable(inputs, "no two arrays are of equal length, as inputs and their labels are"))
    found, reason = _labels(inputs, labels)
    if found is None:
        return ArrayPair(_untrainable(inputs, reason))
    facts = Facts(
        format="numpy",
        sample_count=inputs.shape[0],
        dimensions=inputs.dimensions,
        input_shape=sample_shape(inputs.shape),
        target=found.target,
        class_count=found.class_count,
    )
    return ArrayPair(facts, inputs, labels, found)


def sample_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """(height, width, channels) of arrays that are images, else (features,)."""
    if len(shape) == 3:
        return (shape[1], shape[2], 1)
    if len(shape) == 4 and shape[3] in CHANNELS:
        return shape[1:]
    if len(shape) == 4 and shape[1] in CHANNELS:
        return (shape[2], shape[3], shape[1])
    return (math.prod(shape[1:]),)


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
    except (ValueError, TypeError, LookupError, SyntaxError, OverflowError, RecursionError, MemoryError) as error:
        raise Unreadable(f"{title} is no NumPy array: its header is damaged") from error
    if dtype.hasobject:
        raise Unreadable(f"{title} holds Python objects, which are never read: save plain numbers or texts")
    if any(length < 0 for length in shape) or counted.count + dtype.itemsize * math.prod(shape) != size_bytes:
        raise Unreadable(f"{title} is damaged or cut off: {shape} values of {dtype} do not fill {size_bytes} bytes")
    return Array(name, tuple(shape), dtype, bool(is_fortran), _after(opener, counted.count))


def _arrays(opener: ZipOpener) -> list[Array]:
    arrays: list[Array] = []
    with opener() as file:
        for member in zip_members(file):
            if not member.name.endswith(".npy"):
                continue
            name = member.name.removesuffix(".npy")
            if any(array.name == name for array in arrays):
                raise Unreadable(f"the npz file holds {shown(member.name)} twice")
            with member.open() as stream:
                opened = _member_opener(opener, member.name)
                arrays.append(read_header(stream, name, member.size_bytes, opened))
    return arrays


def _pair(arrays: list[Array]) -> tuple[Array, Array | None]:
    """Inputs and labels by their names, else the first two arrays of equal length; no labels without such."""
    named = {array.name: array for array in arrays}
    for x, y in PAIRS:
        inputs, labels = named.get(x), named.get(y)
        if inputs is not None and labels is not None:
            return inputs, labels
    long = [array for array in arrays if array.shape]
    for number, labels in enumerate(long):
        for inputs in long[:number]:
            if inputs.shape[0] == labels.shape[0]:
                return inputs, labels
    return arrays[0], None


def _labels(inputs: Array, labels: Array) -> tuple[Labels | None, str]:
    """What the labels are, or the reason why the pair cannot be trained on."""
    if not inputs.shape or inputs.shape[:1] != labels.shape[:1]:
        return None, f"{inputs.title} and {labels.title} are of different length"
    if inputs.shape[0] < 2:
        return None, "there are fewer than two samples"
    if inputs.dtype.kind not in _NUMBERS or not math.prod(inputs.shape):
        return None, f"{inputs.title} holds no numbers"
    if math.prod(labels.shape[1:]) != 1:
        return None, f"{labels.title} has {math.prod(labels.shape[1:])} values a sample; one label a sample is needed"
    if labels.dtype.kind not in _NUMBERS + "US" or not labels.dtype.itemsize:
        return None, f"{labels.title} holds neither numbers nor texts"
    survey, count = LabelSurvey(is_text=labels.dtype.kind in "US"), 0
    for values in _label_values(labels):
        if survey.is_text:
            survey.add_texts(values)
        else:
            survey.add_numbers(values, first_row=count)
        count += len(values)
    return survey.result()


def _label_values(labels: Array) -> Iterator[list[Any]]:
    """Lists of texts or floats. Fortran order does not matter: there is one value a sample."""
    for block in labels.blocks():
        values = block.reshape(-1)
        if values.dtype.kind == "S":
            yield [bytes(value).decode("utf-8", "replace") for value in values]
        elif values.dtype.kind == "U":
            yield _texts(values, labels.title)
        else:
            yield values.astype(float).tolist()


def _texts(values: np.ndarray, name: str) -> list[str]:
    try:
        return [str(value) for value in values]
    except (ValueError, UnicodeError) as error:  # bytes that are no characters
        raise Unreadable(f"{name} is damaged: it holds impossible characters") from error


def _stored_view(inputs: np.ndarray, array: Array) -> np.ndarray:
    """`inputs` seen with the axes in the order in which the array's values are stored."""
    import numpy as np

    shape = array.shape
    view = inputs
    if len(shape) == 4 and shape[3] not in CHANNELS and shape[1] in CHANNELS:
        view = np.moveaxis(inputs, -1, 1)
    elif inputs.shape != shape:
        view = inputs.reshape(shape)
    return view.T if array.is_fortran else view


def _title(name: str) -> str:
    return f"the array {shown(name)}" if name else "the array"


def _untrainable(array: Array, reason: str) -> Facts:
    count = array.shape[0] if array.shape else 0
    return Facts(format="numpy", sample_count=count, dimensions=array.dimensions, untrainable_reason=reason)


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


def _member_opener(opener: ZipOpener, name: str) -> Opener:
    @contextmanager
    def opened() -> Iterator[GuardedStream]:
        with opener() as file, opened_zip_member(file, name) as stream:
            yield stream

    return opened


def _exactly(file: GuardedStream, size: int, name: str) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        data = file.read(min(_BLOCK_BYTES, size - len(parts)))
        if not data:
            raise Unreadable(f"{name} is cut off")
        parts += data
    return bytes(parts)
