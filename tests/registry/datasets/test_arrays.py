"""NumPy files: pairs of inputs and labels are found, and nothing is ever unpickled."""

import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from registry.datasets import describe as describing
from registry.datasets.describe import describe
from registry.datasets.facts import Facts, Unreadable
from registry.datasets.load import Samples, load
from tests.registry.datasets import making

LABELS = [0, 1, 2, 0]


def facts_of(path: Path) -> Facts:
    return describe(path, path.name)


def loaded(path: Path) -> Samples:
    return load(path, path.name, scratch=path.parent / "scratch")


def numbered(*shape: int, dtype: str = "float64") -> Any:
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


@pytest.mark.parametrize(
    ("shape", "input_shape"),
    [
        ((4, 8, 9), (8, 9, 1)),
        ((4, 8, 9, 3), (8, 9, 3)),
        ((4, 8, 9, 1), (8, 9, 1)),
        ((4, 3, 8, 9), (8, 9, 3)),
        ((4, 1, 8, 9), (8, 9, 1)),
        ((4, 8, 9, 2), (144,)),
        ((4, 7), (7,)),
        ((4,), (1,)),
        ((4, 2, 2, 2, 2), (16,)),
    ],
)
@pytest.mark.parametrize("order", ["C", "F"])
def test_it_tells_images_from_features(
    tmp_path: Path, shape: tuple[int, ...], input_shape: tuple[int, ...], order: Any
) -> None:
    values = numbered(*shape)
    path = making.npz(tmp_path / "a.npz", x=np.asarray(values, order=order), y=LABELS)
    facts, samples = facts_of(path), loaded(path)
    assert facts.dimensions == "x".join(map(str, shape))
    assert facts.input_shape == input_shape
    is_channels_first = len(shape) == 4 and shape[1] in (1, 3)
    expected = np.moveaxis(values, 1, -1) if is_channels_first else values.reshape(4, *input_shape)
    assert np.array_equal(samples.inputs, expected.astype(np.float32))


@pytest.mark.parametrize(
    "names", [("x", "y"), ("X", "y"), ("data", "labels"), ("images", "labels"), ("data", "target")]
)
def test_it_finds_a_pair_by_its_names(tmp_path: Path, names: tuple[str, str]) -> None:
    arrays = {names[1]: LABELS, "more": numbered(4, 9), names[0]: numbered(4, 5)}
    path = making.npz(tmp_path / "a.npz", **arrays)
    assert (facts_of(path).dimensions, facts_of(path).input_shape) == ("4x5", (5,))
    assert loaded(path).targets.tolist() == LABELS


def test_it_takes_the_first_two_arrays_of_equal_length(tmp_path: Path) -> None:
    path = making.npz(tmp_path / "a.npz", names=np.zeros(3), one=numbered(4, 5), scale=1.0, two=LABELS)
    assert (facts_of(path).sample_count, facts_of(path).input_shape) == (4, (5,))
    assert loaded(path).targets.tolist() == LABELS


@pytest.mark.parametrize("labels", [["b", "a", "b", "a"], [b"b", b"a", b"b", b"a"], [[1], [0], [1], [0]]])
def test_it_takes_texts_and_a_column_for_labels(tmp_path: Path, labels: list[Any]) -> None:
    path = making.npz(tmp_path / "a.npz", x=numbered(4, 2), y=labels)
    assert facts_of(path).class_count == 2
    assert loaded(path).targets.tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float16", "float32", ">f8", "bool", "uint16", "longdouble"])
def test_it_keeps_bytes_of_images_and_makes_floats_of_the_rest(tmp_path: Path, dtype: str) -> None:
    path = making.npz(tmp_path / "a.npz", images=numbered(4, 3, 3, dtype=dtype), labels=LABELS)
    inputs = loaded(path).inputs
    assert inputs.dtype == ("uint8" if dtype == "uint8" else "float32")
    assert inputs.sum() == (35 if dtype == "bool" else 630)


def test_it_fills_what_is_no_number_with_the_mean(tmp_path: Path) -> None:
    inputs = np.array([[1, np.nan], [np.inf, np.nan], [3, np.nan], [2, 1e300]])
    path = making.npz(tmp_path / "a.npz", x=inputs, y=LABELS)
    assert loaded(path).inputs.tolist() == [[1, 0], [2, 0], [3, 0], [2, 0]]


def test_it_registers_one_array_without_labels(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", numbered(6, 4))
    facts = facts_of(tmp_path / "a.npy")
    assert (facts.format, facts.sample_count, facts.dimensions, facts.target) == ("numpy", 6, "6x4", "")
    assert "no labels" in facts.untrainable_reason
    with pytest.raises(Unreadable, match="no labels"):
        loaded(tmp_path / "a.npy")


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"a": numbered(4, 2), "b": numbered(3)}, "no two arrays are of equal length"),
        ({"x": numbered(4, 2), "y": numbered(3)}, "of different length"),
        ({"x": numbered(4, 2), "y": numbered(4, 2)}, "2 values a sample"),
        ({"x": numbered(1, 2), "y": [1]}, "fewer than two samples"),
        ({"x": numbered(0, 2), "y": []}, "fewer than two samples"),
        ({"x": numbered(4, 0), "y": LABELS}, "holds no numbers"),
        ({"x": ["a", "b", "c", "d"], "y": LABELS}, "the array 'x' holds no numbers"),
        ({"x": numbered(4, 2), "y": [1j, 2j, 3j, 4j]}, "neither numbers nor texts"),
        ({"x": numbered(4, 2), "y": [0.5, 1, np.nan, 2]}, "sample 3 has no label"),
        ({"x": numbered(4, 2), "y": [5, 5, 5, 5]}, "nothing to learn"),
        ({"scale": 3.0}, "no two arrays"),
    ],
)
def test_it_registers_what_cannot_be_trained_on(tmp_path: Path, arrays: dict[str, Any], said: str) -> None:
    facts = facts_of(making.npz(tmp_path / "a.npz", **arrays))
    assert said in facts.untrainable_reason
    assert (facts.format, facts.input_shape, facts.target) == ("numpy", (), "")


class Exploding:
    """Would leave a file behind if it were ever unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "npz in.zip", "npy in.tar"])
def test_it_never_unpickles(tmp_path: Path, name: str) -> None:
    evil = making.npy_bytes(np.array([Exploding(tmp_path / "exploded"), None], dtype=object))
    inner = making.zipped(tmp_path / "inner.npz", {"x.npy": evil}).read_bytes()
    path = tmp_path / name
    path.write_bytes({"a.npy": evil}.get(name, inner))
    if " in" in name:
        making.packed(path, {"x.npy": evil} if "npy" in name else {"x.npz": inner})
    with pytest.raises(Unreadable, match="holds Python objects, which are never read"):
        facts_of(path)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("suffix", [".tar", ".tgz", ".zip"])
def test_it_reads_arrays_inside_of_an_archive(tmp_path: Path, suffix: str) -> None:
    inner = making.npz(tmp_path / "inner.npz", x=numbered(4, 5), y=LABELS).read_bytes()
    path = making.packed(tmp_path / f"a{suffix}", {"deep/down.npz": inner, "readme.txt": b"hello"})
    assert facts_of(path).input_shape == (5,)
    assert loaded(path).inputs.tolist() == numbered(4, 5).tolist()
    single = making.packed(tmp_path / f"b{suffix}", {"one.npy": making.npy_bytes(numbered(3, 2))})
    assert facts_of(single).dimensions == "3x2"


def test_it_refuses_a_large_npz_inside_of_an_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(describing, "MAX_INNER_NPZ_BYTES", 100)
    inner = making.npz(tmp_path / "inner.npz", x=numbered(4, 5), y=LABELS).read_bytes()
    with pytest.raises(Unreadable, match="upload it without the archive"):
        facts_of(making.tar(tmp_path / "a.tar", {"a.npz": inner}))


def header(text: str, version: bytes = b"\x01\x00") -> bytes:
    return b"\x93NUMPY" + version + len(text).to_bytes(2, "little") + text.encode()


@pytest.mark.parametrize(
    "data",
    [
        header("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000, 9), }\n"),
        header("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }\n"),
        header("{'descr': '<f8', 'fortran_order': False, 'shape': (2.5,), }\n"),
        header("{'descr': 'nonsense', 'fortran_order': False, 'shape': (1,), }\n"),
        header("__import__('os').abort()\n"),
        header("(" * 9000 + "\n"),
        header("{}", b"\x09\x00"),
        b"\x93NUMPY",
        b"\x93NUMPY\x02\x00\xff\xff\xff\xff",
        making.npy_bytes(numbered(5))[:-1],
        making.npy_bytes(numbered(5)) + b"x",
    ],
)
def test_it_refuses_damaged_headers(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.npy").write_bytes(data)
    with pytest.raises(Unreadable, match="the array is|declares"):
        facts_of(tmp_path / "a.npy")


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ("1," * 300, "the array has 300 dimensions, at most 16 are read"),
        (f"0,{'9' * 30}", "a length in its header is not a number from 0 to 1099511627776"),
        ("True,", "a length in its header"),
        ("-2,", "a length in its header"),
        ("7, 2", "7x2 values of 4 bytes do not fill"),
    ],
)
def test_it_refuses_shapes_that_no_array_has_in_short_words(tmp_path: Path, shape: str, said: str) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(header(f"{{'descr': '<i4', 'fortran_order': False, 'shape': ({shape}), }}\n") + bytes(4))
    with pytest.raises(Unreadable, match=re.escape(said)) as refused:
        describe(path, "a.npy")
    assert len(str(refused.value)) < 200


def test_it_refuses_an_npz_without_arrays_or_with_one_twice(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="holds no array"):
        facts_of(making.zipped(tmp_path / "a.npz", {"readme.txt": b"x"}))
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("x.npy", making.npy_bytes(numbered(4, 2)))
        archive.writestr("x.npy", making.npy_bytes(numbered(9)))
    with pytest.raises(Unreadable, match=r"holds 'x.npy' twice"):
        facts_of(tmp_path / "b.npz")
