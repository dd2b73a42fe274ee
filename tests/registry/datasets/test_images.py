"""Archives of images: folders are classes, and every image comes to one shape."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from registry.datasets import images
from registry.datasets.describe import describe
from registry.datasets.facts import Facts, Unreadable
from registry.datasets.load import Samples, load
from tests.registry.datasets import making


def facts_of(path: Path) -> Facts:
    return describe(path, path.name)


def loaded(path: Path) -> Samples:
    return load(path, path.name, scratch=path.parent / "scratch")


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tgz", ".zip"])
def test_it_takes_folders_for_classes(tmp_path: Path, suffix: str) -> None:
    path = making.packed(tmp_path / f"pets{suffix}", making.folders("dog", "cat", size=(10, 9)))
    assert facts_of(path) == Facts(
        format="images",
        sample_count=6,
        dimensions="9x10x3",
        input_shape=(9, 10, 3),
        target="classes",
        class_count=2,
    )
    samples = loaded(path)
    assert samples.inputs.shape == (6, 9, 10, 3)
    assert samples.inputs.dtype == np.uint8
    assert samples.inputs[0, 0, 0].tolist() == [9, 99, 199]
    assert samples.targets.tolist() == [0, 0, 0, 1, 1, 1]
    assert samples.classes == ["cat", "dog"]


@pytest.mark.parametrize(
    ("names", "classes"),
    [
        (("train/cat", "train/dog"), ["cat", "dog"]),
        (("./train/cat", "./train/dog"), ["cat", "dog"]),
        (("train/cat", "test/cat", "train/dog"), ["cat", "dog"]),
        (("pets/cat/young", "pets/cat/old", "pets/dog"), ["cat", "dog"]),
    ],
)
def test_it_finds_the_first_folder_that_varies(tmp_path: Path, names: tuple[str, ...], classes: list[str]) -> None:
    path = making.tar(tmp_path / "a.tar", making.folders(*names))
    assert loaded(path).classes == classes
    assert facts_of(path).class_count == len(classes)


def test_it_ignores_what_is_no_image_of_the_set(tmp_path: Path) -> None:
    rubbish = {"__MACOSX/cat/._0.png": b"x", "cat/.hidden.png": b"x", "cat/notes.txt": b"x", "more.zip": b"PK"}
    path = making.zipped(tmp_path / "a.zip", {**rubbish, **making.folders("cat", "dog")})
    assert facts_of(path).sample_count == 6


def test_it_makes_names_of_classes_that_can_be_written(tmp_path: Path) -> None:
    path = making.tar(tmp_path / "a.tar", making.folders("k\udce4fer", "two\nlines", "\u30cd\u30b3"))
    assert loaded(path).classes == ["k\\xdce4fer", "two\\x0alines", "\u30cd\u30b3"]


def test_it_registers_images_without_classes(tmp_path: Path) -> None:
    facts = facts_of(making.tar(tmp_path / "a.tar", making.folders("photos/2024")))
    assert (facts.sample_count, facts.dimensions, facts.input_shape, facts.target) == (3, "8x8x3", (), "")
    assert facts.untrainable_reason.startswith("all images lie in one folder")


def test_it_names_an_image_outside_of_the_classes(tmp_path: Path) -> None:
    path = making.tar(tmp_path / "a.tar", {"stray.png": making.image(), **making.folders("cat", "dog")})
    assert "the image 'stray.png' lies outside" in facts_of(path).untrainable_reason
    with pytest.raises(Unreadable, match="stray"):
        loaded(path)


def test_it_resizes_to_the_most_common_size(tmp_path: Path) -> None:
    members = making.folders("cat", "dog", size=(12, 8)) | {"cat/big.png": making.image(size=(50, 40))}
    path = making.tar(tmp_path / "a.tar", members)
    assert facts_of(path).input_shape == (8, 12, 3)
    assert loaded(path).inputs.shape == (7, 8, 12, 3)


def test_it_keeps_grey_only_when_all_are_grey(tmp_path: Path) -> None:
    grey = making.folders("cat", "dog", mode="L")
    assert facts_of(making.tar(tmp_path / "grey.tar", grey)).input_shape == (8, 8, 1)
    mixed = making.tar(tmp_path / "mixed.tar", grey | {"cat/c.png": making.image()})
    assert facts_of(mixed).input_shape == (8, 8, 3)
    assert loaded(mixed).inputs.shape == (7, 8, 8, 3)


@pytest.mark.parametrize(
    ("mode", "kind", "suffix", "channels"),
    [
        ("RGBA", "PNG", "png", 3),
        ("P", "PNG", "PNG", 3),
        ("LA", "PNG", "png", 1),
        ("1", "PNG", "png", 1),
        ("CMYK", "JPEG", "jpeg", 3),
        ("L", "JPEG", "jpg", 1),
        ("P", "GIF", "gif", 3),
        ("RGB", "BMP", "bmp", 3),
        ("RGB", "TIFF", "tif", 3),
        ("RGB", "WEBP", "webp", 3),
        ("RGB", "PPM", "ppm", 3),
        ("L", "PPM", "pgm", 1),
    ],
)
def test_it_reads_every_kind_of_image(tmp_path: Path, mode: str, kind: str, suffix: str, channels: int) -> None:
    data = making.image(mode=mode, kind=kind)
    path = making.zipped(tmp_path / "a.zip", {f"cat/a.{suffix}": data, f"dog/b.{suffix}": data})
    assert facts_of(path).input_shape == (8, 8, channels)
    assert loaded(path).inputs.shape == (2, 8, 8, channels)


def test_it_keeps_the_range_of_sixteen_bit_images(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.full((8, 8), 0x8040, dtype=np.uint16)).save(buffer, "PNG")
    path = making.tar(tmp_path / "a.tar", {"a/1.png": buffer.getvalue(), "b/1.png": buffer.getvalue()})
    assert set(loaded(path).inputs.reshape(-1).tolist()) == {0x80}


def test_it_loads_in_the_order_of_names_whatever_the_archive_does(tmp_path: Path) -> None:
    colours = {f"{name}/{n}.png": making.image(colour=(n, 0, 0)) for name in ("b", "a") for n in (3, 1, 2)}
    samples = loaded(making.tar(tmp_path / "a.tar", colours))
    assert samples.inputs[:, 0, 0, 0].tolist() == [1, 2, 3, 1, 2, 3]
    assert samples.targets.tolist() == [0, 0, 0, 1, 1, 1]


def test_it_refuses_an_image_that_declares_too_many_pixels(tmp_path: Path) -> None:
    header = b"IHDR" + struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    bomb += making.image()[33:]
    path = making.tar(tmp_path / "a.tar", making.folders("cat") | {"dog/bomb.png": bomb})
    with pytest.raises(Unreadable, match=r"'dog/bomb.png' has more than \d+ pixels"):
        facts_of(path)


@pytest.mark.parametrize("data", [b"", b"hello", making.image()[:20], b"%PDF-1.4 not an image"])
def test_it_names_an_image_whose_header_is_damaged(tmp_path: Path, data: bytes) -> None:
    path = making.zipped(tmp_path / "a.zip", making.folders("cat") | {"dog/bad.png": data})
    with pytest.raises(Unreadable, match=r"'dog/bad.png' is damaged or cut off"):
        facts_of(path)


def test_it_names_an_image_that_is_cut_off_when_it_is_loaded(tmp_path: Path) -> None:
    data = making.image(size=(256, 256), kind="JPEG")
    path = making.tar(tmp_path / "a.tar", making.folders("cat") | {"dog/cut.jpg": data[:-100]})
    assert facts_of(path).target == "classes"
    with pytest.raises(Unreadable, match=r"'dog/cut.jpg' is damaged or cut off"):
        loaded(path)


def test_it_reads_no_kind_beyond_the_documented_ones(tmp_path: Path) -> None:
    data = making.image(kind="TGA")
    path = making.tar(tmp_path / "a.tar", {"cat/a.png": data, "dog/b.png": data})
    with pytest.raises(Unreadable, match="no image of a known kind"):
        facts_of(path)


def test_it_refuses_an_image_file_above_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_FILE_BYTES", 10)
    with pytest.raises(Unreadable, match="larger than"):
        facts_of(making.tar(tmp_path / "a.tar", making.folders("cat", "dog")))


def test_it_reads_a_bounded_number_of_headers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "HEADERS_READ", 3)
    members = making.folders("a") | making.folders("b", count=9, size=(20, 20))
    path = making.tar(tmp_path / "a.tar", members)
    assert facts_of(path).input_shape == (8, 8, 3)
    assert loaded(path).inputs.shape == (12, 8, 8, 3)
