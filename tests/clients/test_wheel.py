"""The distribution: what `make client-wheel` builds works by itself."""

import subprocess
import sys
import zipfile
from pathlib import Path

import mlserver_client
import pytest

from tests.clients.scripts import CLIENT

pytestmark = pytest.mark.process


def test_the_wheel_holds_the_package_and_works(tmp_path: Path) -> None:
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", *options, "-w", str(tmp_path), str(CLIENT)],
        check=True, timeout=100, cwd=tmp_path,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name == f"mlserver_client-{mlserver_client.__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        assert {name.split("/")[0].split("-")[0] for name in archive.namelist()} == {"mlserver_client"}
        assert "mlserver_client/api/client.py" in archive.namelist()
        assert "mlserver_client/py.typed" in archive.namelist()
        archive.extractall(tmp_path / "installed")
    code = "import mlserver_client as rn; run = rn.init(); rn.log(loss=1.0); rn.finish(); print(run.run_dir)"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, timeout=60, cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path / "installed"), "HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (Path(done.stdout.strip()) / "events.jsonl").read_text().count("\n") == 1
