"""Losses, marks and the accuracy that comes of them."""

import pytest
import torch

from training.trainer.losses import Objective, variation_of

TARGETS = torch.tensor([0.0, 1.0, 1.0])
SCORES = torch.tensor([[-2.0], [3.0], [-1.0]])


def test_it_counts_right_classes() -> None:
    objective = Objective("cross_entropy")
    marks = objective.marks(torch.tensor([[2.0, 1.0], [0.0, 3.0], [1.0, 0.0]]), torch.tensor([0, 1, 1]))
    assert marks.tolist() == [1, 1, 0]
    assert objective.accuracy(2.0, 3, 0.0) == pytest.approx(2 / 3)


def test_it_counts_right_answers_of_one_logit() -> None:
    assert Objective("bce").marks(SCORES, TARGETS).tolist() == [1, 1, 0]


@pytest.mark.parametrize(("name", "loss"), [("mse", (4 + 4 + 4) / 3), ("mae", 2.0)])
def test_it_measures_numbers_by_the_variation_they_explain(name: str, loss: float) -> None:
    objective = Objective(name)
    assert float(objective.loss(SCORES, TARGETS)) == pytest.approx(loss)
    assert objective.marks(SCORES, TARGETS).tolist() == [4, 4, 4]
    assert objective.accuracy(0.5, 3, variation=2.0) == 0.75


@pytest.mark.parametrize(("marks", "variation", "accuracy"), [(9.0, 2.0, 0.0), (0.0, 0.0, 1.0), (0.1, 0.0, 0.0)])
def test_it_keeps_the_accuracy_of_numbers_between_0_and_1(marks: float, variation: float, accuracy: float) -> None:
    assert Objective("mse").accuracy(marks, 1, variation) == accuracy


def test_it_standardises_targets_that_are_numbers() -> None:
    prepared = Objective("mse").prepare(torch.tensor([10.0, 30.0]), torch.tensor(20.0), torch.tensor(10.0))
    assert prepared.tolist() == [-1, 1]
    assert variation_of(prepared) == 2.0
    assert variation_of(prepared[:0]) == 0.0


@pytest.mark.parametrize(("name", "outputs", "dtype"), [("cross_entropy", 2, torch.int64), ("bce", 1, torch.float32)])
def test_it_wants_classes_in_the_form_of_the_loss(name: str, outputs: int, dtype: torch.dtype) -> None:
    objective = Objective(name)
    assert objective.outputs(2) == outputs
    assert objective.prepare(torch.tensor([0, 1]), torch.tensor(0.0), torch.tensor(1.0)).dtype == dtype
