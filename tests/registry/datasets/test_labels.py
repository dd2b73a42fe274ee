"""What labels are told to be, and the numbers they become."""

from collections.abc import Sequence

import numpy as np
import pytest

from registry.datasets.labels import MAX_CLASSES, Labels, LabelSurvey


def surveyed(values: Sequence[float]) -> tuple[Labels | None, str]:
    survey = LabelSurvey()
    survey.add_numbers(map(float, values))
    return survey.result()


@pytest.mark.parametrize(
    ("values", "target", "class_count"),
    [
        ([0, 1, 0], "classes", 2),
        ([3, 1, 2, 1], "classes", 3),
        (list(range(100)), "classes", 100),
        (list(range(1, 101)), "classes", 100),
        (list(range(101)), "numbers", None),
        ([0, 2, 1, 4], "integers", 4),
        ([-1, 1, 1], "integers", 2),
        ([2, 3, 4], "integers", 3),
        ([0.0, 1.0, 0.5], "numbers", None),
        ([1e20, 2e20], "integers", 2),
    ],
)
def test_it_tells_classes_from_numbers(values: list[float], target: str, class_count: int | None) -> None:
    labels, reason = surveyed(values)
    assert labels is not None
    assert (labels.target, labels.class_count, reason) == (target, class_count, "")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1e39])
def test_it_names_the_sample_without_a_usable_label(value: float) -> None:
    assert surveyed([0.0, 1.0, value]) == (
        None,
        "sample 3 has no label that is a number within the range of 32 bit floats",
    )


def test_it_needs_two_different_labels() -> None:
    labels, reason = surveyed([7, 7, 7])
    assert labels is None
    assert "nothing to learn" in reason


def test_it_refuses_texts_that_are_no_names() -> None:
    survey = LabelSurvey(is_text=True)
    survey.add_texts(str(number) for number in range(MAX_CLASSES + 1))
    assert survey.result() == (None, "there are more than 10000 different labels, too many to be classes")


def test_it_numbers_texts_in_sorted_order() -> None:
    survey = LabelSurvey(is_text=True)
    survey.add_texts(["b", "a"])
    labels, _ = survey.result()
    assert labels is not None
    assert labels.classes == ["a", "b"]
    assert labels.encoded(["b", "a", "b"], as_numbers=True).tolist() == [1, 0, 1]


def test_it_numbers_whole_labels_by_size() -> None:
    labels, _ = surveyed([30, -5, 7])
    assert labels is not None
    assert labels.classes == ["-5", "7", "30"]
    assert labels.encoded([7.0, 30.0, -5.0], as_numbers=False).tolist() == [1, 2, 0]
    values = labels.encoded([7.0, 30.0], as_numbers=True)
    assert (values.tolist(), values.dtype) == ([7, 30], np.float32)
