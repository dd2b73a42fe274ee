"""Whatever bytes a file holds, it is either read alike by both readers, or refused as Unreadable."""

import csv
import random
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from registry.datasets.describe import describe
from registry.datasets.facts import Facts, Unreadable
from registry.datasets.load import load
from tests.registry.datasets import making

FLIPPED = 50
PYTHON = re.compile(r" object at 0x|Error\b|Exception|<_io|codec|dtype\(")
RANDOM_TABLES = 100
WORDS = ("red", "blue", "", "NA", "ä,ö", 'say "no"', "two\nlines", " 7 ", "1e3", "-0", "inf", "y", "label")


def outcome(path: Path, name: str, scratch: Path) -> Facts | None:
    """The facts, checked against the samples; None when either reader refuses the file."""
    try:
        facts = describe(path, name)
        if not facts.target:
            assert facts.untrainable_reason
            assert facts.input_shape == ()
            return facts
        samples = load(path, name, scratch=scratch)
    except Unreadable as error:
        assert str(error)
        assert not PYTHON.search(str(error))
        return None
    assert facts.untrainable_reason == ""
    assert samples.inputs.shape == (facts.sample_count, *facts.input_shape)
    assert samples.targets.shape == (facts.sample_count,)
    assert np.isfinite(samples.inputs).all()
    assert np.isfinite(samples.targets).all()
    if samples.classes is not None:
        assert len(samples.classes) == facts.class_count
        assert set(samples.targets.tolist()) <= set(range(len(samples.classes)))
    return facts


def damaged(data: bytes, source: random.Random) -> Iterator[bytes]:
    """Copies with one to eight bytes of any value in place of others, a tenth of them cut off as well."""
    for _ in range(FLIPPED):
        copy = bytearray(data)
        for _ in range(source.choice((1, 1, 2, 8))):
            copy[source.randrange(len(copy))] = source.randrange(256)
        yield bytes(copy if source.random() < 0.9 else copy[: source.randrange(len(copy))])


def valid(tmp_path: Path, name: str) -> bytes:
    path = tmp_path / name
    if name.startswith("images"):
        making.packed(path, making.folders("cat", "dog", count=2))
    elif name.startswith("array"):
        making.npz(path, x=np.eye(6), y=["a", "b"] * 3)
    elif name == "single.npy":
        path.write_bytes(making.npy_bytes(np.eye(6)))
    elif name == "table.csv":
        making.text(
            path, 'a,"b",label\n' + "".join(f"{number},word{number % 3},{number % 2}\n" for number in range(20))
        )
    else:
        making.packed(path, {"in/table.csv": b"a,label\n1,x\n2,y\n3,x\n"})
    return path.read_bytes()


@pytest.mark.parametrize(
    "name",
    ["images.tar", "images.tgz", "images.zip", "arrays.npz", "single.npy", "table.csv", "nested.tar", "nested.zip"],
)
def test_it_reads_or_refuses_any_damage(tmp_path: Path, name: str) -> None:
    source, path = random.Random(20260721), tmp_path / "damaged"
    refused = 0
    for data in damaged(valid(tmp_path, name), source):
        path.write_bytes(data)
        refused += outcome(path, name, tmp_path / "scratch") is None
    assert 0 < refused <= FLIPPED


@pytest.mark.parametrize("kind", ["JPEG", "GIF", "TIFF", "WEBP", "BMP", "PPM"])
def test_it_reads_or_refuses_damaged_images_of_each_kind(tmp_path: Path, kind: str) -> None:
    source, path = random.Random(kind), tmp_path / "a.tar"
    pixels = np.random.default_rng(7).integers(0, 256, (9, 10, 3), dtype=np.uint8)
    suffix = {"TIFF": "tif", "JPEG": "jpg"}.get(kind, kind.lower())
    Image.fromarray(pixels).save(tmp_path / f"valid.{suffix}", kind)
    data = (tmp_path / f"valid.{suffix}").read_bytes()
    refused = 0
    for other in damaged(data, source):
        making.tar(path, {f"cat/1.{suffix}": data, f"dog/2.{suffix}": other})
        refused += outcome(path, path.name, tmp_path / "scratch") is None
    assert 0 < refused < FLIPPED


def test_it_describes_and_loads_random_tables_alike(tmp_path: Path) -> None:
    source, path = random.Random(3), tmp_path / "a.csv"
    read = 0
    for _ in range(RANDOM_TABLES):
        columns, rows = source.randrange(1, 6), source.randrange(0, 12)
        makers = [source.choice((lambda: str(source.randrange(3)), source.random, lambda: source.choice(WORDS)))]
        makers *= columns - 1
        makers.append(source.choice((lambda: source.randrange(1, 4), source.random, lambda: source.choice(WORDS))))
        with path.open("w", newline="") as file:
            writer = csv.writer(file, delimiter=source.choice(",;\t"), quoting=source.choice((0, 1)))
            if source.random() < 0.5:
                writer.writerow([f"column{number}" for number in range(columns)])
            writer.writerows([maker() for maker in makers] for _ in range(rows))
        read += outcome(path, path.name, tmp_path / "scratch") is not None
    assert read > RANDOM_TABLES / 2
