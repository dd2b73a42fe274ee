"""Loading gives what describing told, in memory or from a file that a retry finds again."""

import errno
import os
import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from registry.datasets import load as loading
from registry.datasets import missing
from registry.datasets.describe import describe
from registry.datasets.images import ImageSet
from registry.datasets.load import load
from registry.datasets.tables import Table
from tests.registry.datasets import making


@pytest.fixture
def on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every dataset is too large for memory."""
    monkeypatch.setattr(loading, "MAX_MEMORY_BYTES", 0)


def files(tmp_path: Path) -> list[Path]:
    pictures = making.folders("cat", "dog") | {"dog/other.png": making.image(size=(20, 5))}
    return [
        making.tar(tmp_path / "pictures.tgz", pictures),
        making.zipped(tmp_path / "pictures.zip", pictures),
        making.text(tmp_path / "table.csv", "a,colour,label\n1,red,5\n,blue,7\n4,red,7\n"),
        making.npz(tmp_path / "images.npz", images=np.zeros((3, 3, 8, 9), dtype=np.uint8), labels=["a", "b", "a"]),
        making.npz(tmp_path / "numbers.npz", x=np.eye(3), y=[0.5, 1, 2]),
    ]


@pytest.mark.parametrize("number", range(5))
@pytest.mark.parametrize("as_numbers", [True, False])
def test_it_gives_the_same_from_disk_as_from_memory(
    tmp_path: Path, number: int, as_numbers: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = files(tmp_path)[number]
    facts = describe(path, path.name)
    kept = load(path, path.name, scratch=tmp_path / "scratch", as_numbers=as_numbers)
    monkeypatch.setattr(loading, "MAX_MEMORY_BYTES", 0)
    mapped = load(path, path.name, scratch=tmp_path / "scratch", as_numbers=as_numbers)
    assert (kept.is_on_disk, mapped.is_on_disk) == (False, True)
    assert isinstance(mapped.inputs, np.memmap)
    assert np.array_equal(kept.inputs, mapped.inputs)
    assert np.array_equal(kept.targets, mapped.targets)
    assert kept.inputs.shape == mapped.inputs.shape == (facts.sample_count, *facts.input_shape)
    assert kept.classes == mapped.classes
    assert kept.classes is None or len(kept.classes) == facts.class_count


@pytest.mark.usefixtures("on_disk")
def test_it_decodes_once_for_a_file_and_again_for_a_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled = []
    fill = Table.fill
    monkeypatch.setattr(Table, "fill", lambda *args, **options: filled.append(1) or fill(*args, **options))
    path = making.text(tmp_path / "a.csv", "a,label\n1,x\n2,y\n")
    for _ in range(2):
        assert load(path, path.name, scratch=tmp_path / "scratch").inputs.tolist() == [[1], [2]]
    making.text(path, "a,label\n3,x\n42,y\n")
    assert load(path, path.name, scratch=tmp_path / "scratch").inputs.tolist() == [[3], [42]]
    assert len(filled) == 2


@pytest.mark.usefixtures("on_disk")
def test_it_starts_anew_after_a_load_that_was_cut_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = making.tar(tmp_path / "a.tar", making.folders("cat", "dog"))

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(ImageSet, "fill", interrupted)
        load(path, path.name, scratch=tmp_path / "scratch")
    assert [file.suffix for file in (tmp_path / "scratch").iterdir()] == [".lock"]
    assert load(path, path.name, scratch=tmp_path / "scratch").inputs[5, 0, 0].tolist() == [9, 99, 199]


@pytest.mark.usefixtures("on_disk")
def test_it_says_when_the_disk_is_full_before_it_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    path = making.text(tmp_path / "a.csv", "a,label\n1,x\n2,y\n")
    with pytest.raises(OSError, match="No space left"):
        load(path, path.name, scratch=tmp_path / "scratch")
    assert not list((tmp_path / "scratch").glob("*.part"))


@pytest.mark.usefixtures("on_disk")
def test_it_takes_no_space_when_there_is_too_little(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1))
    path = making.text(tmp_path / "a.csv", "a,label\n1,x\n2,y\n")
    with pytest.raises(OSError, match="the samples take 0 MiB, the disk has 0 MiB left"):
        load(path, path.name, scratch=tmp_path / "scratch")


@pytest.mark.usefixtures("on_disk")
def test_it_lets_one_of_several_ranks_decode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled = []
    fill = Table.fill
    monkeypatch.setattr(Table, "fill", lambda *args, **options: filled.append(1) or fill(*args, **options))
    path = making.text(tmp_path / "a.csv", "a,label\n1,x\n2,y\n")
    found: list[Any] = []
    ranks = [
        threading.Thread(target=lambda: found.append(load(path, path.name, scratch=tmp_path / "scratch")))
        for _ in range(4)
    ]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join(30)
    assert len(filled) == 1
    assert [samples.inputs.tolist() for samples in found] == [[[1], [2]]] * 4


def test_it_fills_missing_features_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(missing, "_BLOCK_BYTES", 1)
    inputs = np.array([[1, np.nan], [np.nan, 4], [3, 6]], dtype=np.float32)
    missing.fill_missing(inputs)
    assert inputs.tolist() == [[1, 5], [2, 4], [3, 6]]
