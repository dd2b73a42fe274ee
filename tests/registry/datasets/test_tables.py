"""CSV files: delimiter, header, target and features are found, and rows that do not fit are named."""

from pathlib import Path

import numpy as np
import pytest

from registry.datasets import tables
from registry.datasets.describe import describe
from registry.datasets.facts import Facts, Unreadable
from registry.datasets.load import Samples, load
from tests.registry.datasets import making


def facts_of(path: Path) -> Facts:
    return describe(path, path.name)


def loaded(path: Path, **options: bool) -> Samples:
    return load(path, path.name, scratch=path.parent / "scratch", **options)


def test_it_reads_numbers_and_named_classes(tmp_path: Path) -> None:
    path = making.text(tmp_path / "a.csv", "width,height,species\n1,2.5,b\n3,4,a\n5,-6e1,b\n")
    assert facts_of(path) == Facts(
        format="csv", sample_count=3, dimensions="3", input_shape=(2,), target="classes", class_count=2
    )
    samples = loaded(path)
    assert samples.inputs.tolist() == [[1, 2.5], [3, 4], [5, -60]]
    assert samples.inputs.dtype == np.float32
    assert samples.targets.tolist() == [1, 0, 1]
    assert samples.classes == ["a", "b"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_it_tells_the_delimiter(tmp_path: Path, delimiter: str, end: str, start: str) -> None:
    rows = ["a,b,label", "1,2,x", "3,4,y"]
    path = making.text(tmp_path / "a.csv", start + end.join(rows).replace(",", delimiter))
    assert (facts_of(path).dimensions, facts_of(path).sample_count) == ("3", 2)
    assert loaded(path).inputs.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("name", ["label", "Target", "y", "CLASS", " label "])
def test_it_takes_the_column_of_a_known_name_for_the_target(tmp_path: Path, name: str) -> None:
    samples = loaded(making.text(tmp_path / "a.csv", f"{name},a\n0,7\n1,8\n"))
    assert samples.inputs.tolist() == [[7], [8]]
    assert samples.targets.tolist() == [0, 1]


def test_it_keeps_quotes_and_lines_within_cells(tmp_path: Path) -> None:
    path = making.text(tmp_path / "a.csv", 'note,a,label\n"one, ""two""",1,x\n"three\nfour",2,y\n')
    assert facts_of(path).sample_count == 2
    assert facts_of(path).input_shape == (3,)


def test_it_makes_a_feature_of_each_text(tmp_path: Path) -> None:
    samples = loaded(making.text(tmp_path / "a.csv", "colour,label\nred,0\nblue,1\n,1\nred,0\n"))
    assert samples.inputs.tolist() == [[0, 1], [1, 0], [0, 0], [0, 1]]


def test_it_leaves_out_texts_of_too_many_values_and_empty_columns(tmp_path: Path) -> None:
    rows = "".join(f"name{number},,{number},{number % 2}\n" for number in range(tables.MAX_CATEGORIES + 1))
    path = making.text(tmp_path / "a.csv", "name,nothing,a,label\n" + rows)
    assert (facts_of(path).dimensions, facts_of(path).input_shape) == ("4", (1,))
    assert loaded(path).inputs.shape == (51, 1)


def test_it_leaves_out_the_row_numbers_of_a_data_frame(tmp_path: Path) -> None:
    assert facts_of(making.text(tmp_path / "a.csv", ",a,label\n0,7,x\n1,8,y\n")).input_shape == (1,)


@pytest.mark.parametrize("missing", ["", "NA", "nan", "?", " null ", "inf", "1e99"])
def test_it_fills_what_is_missing_with_the_mean(tmp_path: Path, missing: str) -> None:
    samples = loaded(making.text(tmp_path / "a.csv", f"a,b,label\n1,1,x\n{missing},2,y\n3,3,x\n"))
    assert samples.inputs[:, 0].tolist() == [1, 2, 3]


@pytest.mark.parametrize("label", ["", "NA", "inf", "1e39"])
def test_it_registers_a_table_whose_label_is_missing(tmp_path: Path, label: str) -> None:
    facts = facts_of(making.text(tmp_path / "a.csv", f"a,label\n1,0.5\n2,{label}\n"))
    assert (facts.sample_count, facts.input_shape, facts.target) == (2, (), "")
    assert "sample 2 has no label" in facts.untrainable_reason


def test_it_takes_late_texts_into_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_BATCH_CELLS", 10)
    monkeypatch.setattr(tables, "_SAMPLE_CHARACTERS", 50)
    numbers = "".join(f"{number % 3},{number % 4}\n" for number in range(100))
    path = making.text(tmp_path / "a.csv", "a,label\n" + numbers + "odd,none\n")
    assert (facts_of(path).input_shape, facts_of(path).class_count) == ((4,), 5)
    samples = loaded(path)
    assert samples.classes == ["0", "1", "2", "3", "none"]
    assert samples.inputs[-1].tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a,b,label\n1,2,3\n4,5\n", "line 3 of the CSV file has 2 cells, the first has 3"),
        ("a,b,label\n1,2,3\n4,5,6,7\n", "line 3 of the CSV file has 4 cells"),
        ('a,b,label\n1,2,3\n4,"5,6\n', "malformed"),
        ('a,b,label\n1,2,3\n4,"5"x,6\n', "line 3 of the CSV file is malformed"),
        ("a,b,label\n1,2," + "3" * 140_000 + "\n", "a cell has more than 131072 characters"),
        ("a,label\n1,\0\n", "zero bytes"),
        ("\n\n \n".replace(" ", ""), "holds no row"),
        ("," * 100_001 + "\n", "more than 100000 columns"),
    ],
)
def test_it_refuses_a_table_that_does_not_fit(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(Unreadable, match=said):
        facts_of(making.text(tmp_path / "a.csv", content))


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-32"])
def test_it_refuses_text_that_is_not_utf8(tmp_path: Path, encoding: str) -> None:
    path = making.text(tmp_path / "a.csv", "größe,label\n1,ä\n2,ö\n", encoding)
    with pytest.raises(Unreadable, match="UTF-8|zero bytes"):
        facts_of(path)


def test_it_refuses_text_that_stops_being_utf8(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_SAMPLE_CHARACTERS", 50)
    path = tmp_path / "a.csv"
    path.write_bytes(b"a,label\n" + b"1,2\n" * 5000 + b"\xff,2\n")
    with pytest.raises(Unreadable, match=r"not UTF-8 after line \d+"):
        facts_of(path)


def test_it_reads_one_line_without_an_end_in_bounded_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_MAX_LINE_CHARACTERS", 50)
    path = making.text(tmp_path / "a.csv", "a,label\n1,2\n" + ",".join(["7"] * 200) + "\n")
    with pytest.raises(Unreadable, match="line 3 of the CSV file has"):
        facts_of(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("label\n1\n2\n", "one column only"),
        ("a,label\n", "fewer than two samples"),
        ("a,label\n1,x\n", "fewer than two samples"),
        ("a,label\n1,x\n2,x\n", "all samples have the same label"),
        ("a,label\n,x\n,y\n", "no column besides the target"),
    ],
)
def test_it_registers_what_cannot_be_trained_on(tmp_path: Path, content: str, said: str) -> None:
    path = making.text(tmp_path / "a.csv", content)
    facts = facts_of(path)
    assert said in facts.untrainable_reason
    assert (facts.format, facts.input_shape, facts.target, facts.class_count) == ("csv", (), "", None)
    with pytest.raises(Unreadable, match=said):
        loaded(path)


def test_it_takes_whole_numbers_for_classes_or_for_numbers(tmp_path: Path) -> None:
    path = making.text(tmp_path / "a.csv", "a,label\n1,10\n2,20\n3,10\n")
    assert (facts_of(path).target, facts_of(path).class_count) == ("integers", 2)
    as_classes, as_numbers = loaded(path, as_numbers=False), loaded(path, as_numbers=True)
    assert (as_classes.targets.tolist(), as_classes.classes) == ([0, 1, 0], ["10", "20"])
    assert (as_numbers.targets.tolist(), as_numbers.classes) == ([10, 20, 10], None)
    assert as_numbers.targets.dtype == np.float32
