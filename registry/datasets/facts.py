"""What a file of samples holds, as far as it can be known without training on it."""

from dataclasses import dataclass


class Unreadable(ValueError):
    """The file is no dataset; the text says what is wrong with it, and where."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """`format` is images, csv or numpy; `target` classes, integers, numbers, or empty without labels.

    `input_shape` is that of one sample: (height, width, channels) or (features,); empty when nothing can be
    trained on the data, and then `untrainable_reason` says why.
    """

    format: str
    sample_count: int
    dimensions: str | None = None
    input_shape: tuple[int, ...] = ()
    target: str = ""
    class_count: int | None = None
    untrainable_reason: str = ""
