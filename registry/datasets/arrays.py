"""Samples in NumPy files: which arrays are inputs and labels, and what the labels are."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, TypeAlias

from registry.datasets.archives import opened_zip_member, shown, zip_members
from registry.datasets.facts import Facts, Unreadable
from registry.datasets.labels import Labels, LabelSurvey
from registry.datasets.npy import Array, read_header
from registry.datasets.streams import GuardedStream, Opener

if TYPE_CHECKING:
    import numpy as np

ZipOpener: TypeAlias = Callable[[], AbstractContextManager[IO[bytes]]]

PAIRS = (("x", "y"), ("X", "y"), ("data", "labels"), ("images", "labels"), ("data", "target"), ("x_train", "y_train"))
CHANNELS = (1, 3, 4)
_NUMBERS = "biuf"


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


def _untrainable(array: Array, reason: str) -> Facts:
    count = array.shape[0] if array.shape else 0
    return Facts(format="numpy", sample_count=count, dimensions=array.dimensions, untrainable_reason=reason)


def _member_opener(opener: ZipOpener, name: str) -> Opener:
    @contextmanager
    def opened() -> Iterator[GuardedStream]:
        with opener() as file, opened_zip_member(file, name) as stream:
            yield stream

    return opened
