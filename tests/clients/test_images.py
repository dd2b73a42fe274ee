"""run.log_image."""

import io
import re
from pathlib import Path

import mlserver_client as rn
import numpy as np
import pytest
from mlserver_client import Run
from PIL import Image

from tests.clients.scripts import records


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return rn.init(storage=tmp_path, capture_env=False)


def opened(run: Run, path: str | None) -> Image.Image:
    assert path is not None
    return Image.open(run.run_dir / path)


def test_it_keeps_a_picture_and_says_so(run: Run) -> None:
    run.log(loss=1)
    path = run.log_image("val/sample 1", Image.new("RGB", (4, 3), "red"), caption="a cat")
    assert re.fullmatch(r"media/\d{13}_[0-9a-f]{6}_val_sample_1\.png", path or "")
    assert opened(run, path).size == (4, 3)
    record = records(run.run_dir)[-1]
    assert record["type"] == "image"
    assert record["data"] == {"key": "val/sample 1", "path": path, "step": 1, "caption": "a cat"}


@pytest.mark.parametrize(
    ("array", "size", "mode", "pixel"),
    [
        (np.zeros((3, 4), np.uint8), (4, 3), "L", 0),
        (np.ones((3, 4)), (4, 3), "L", 255),
        (np.full((3, 4, 1), 0.5), (4, 3), "L", 128),
        (np.full((3, 8, 9), 255, np.uint8), (9, 8), "RGB", (255, 255, 255)),
        (np.full((8, 9, 4), 7, np.int64), (9, 8), "RGBA", (7, 7, 7, 7)),
        (np.full((3, 4), np.nan), (4, 3), "L", 0),
        (np.ones((3, 4), bool), (4, 3), "L", 255),
    ],
)
def test_it_takes_arrays(array: np.ndarray, size: object, mode: str, pixel: object, run: Run) -> None:
    picture = opened(run, run.log_image("a", array))
    assert (picture.size, picture.mode, picture.getpixel((0, 0))) == (size, mode, pixel)


def test_it_takes_bytes_and_files_as_they_are(run: Run, tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.new("L", (2, 2)).save(file, "PNG")
    (tmp_path / "picture.png").write_bytes(file.getvalue())
    for given in (file.getvalue(), tmp_path / "picture.png", str(tmp_path / "picture.png")):
        assert (run.run_dir / str(run.log_image("a", given))).read_bytes() == file.getvalue()


def test_it_writes_jpeg_of_the_quality(run: Run) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 4), dtype=np.uint8)
    sizes = [
        (run.run_dir / str(run.log_image("a", noise, format="jpg", quality=quality))).stat().st_size
        for quality in (10, 95)
    ]
    assert sizes[0] * 2 < sizes[1]


@pytest.mark.parametrize("image", [np.zeros((2, 3, 4, 5)), "missing.png", object(), np.zeros(3)])
def test_it_warns_of_what_is_no_image(image: object, run: Run, caplog: pytest.LogCaptureFixture) -> None:
    assert run.log_image("a", image) is None
    assert "kept nothing" in caplog.text
    assert records(run.run_dir) == []
