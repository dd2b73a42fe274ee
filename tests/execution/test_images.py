"""Names of JOB_IMAGES, and what is executed for them."""

from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from mlserver.env import env_images
from mlserver.errors import Invalid
from tests.make import make_run
from training.execution.images import Image, check_image, command_in, end_containers, environment_of, find_image
from training.models import Run

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home")]


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Programs that play the engines: each says what it was asked."""
    for name in ("docker", "podman", "apptainer"):
        (tmp_path / name).write_text(f'#!/bin/sh\necho {name} "$@" >> {tmp_path}/calls\n[ "$1" = ps ] && echo c0ffee\n')
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path


def spec(run: Run, **env: str) -> dict[str, Any]:
    return {"argv": ["python", "fit.py"], "env": env, "cwd": "/work", "user": {"uid": 1000, "gid": 100}}


def test_the_setting_is_read_and_bad_words_are_refused(monkeypatch):
    monkeypatch.setenv("JOB_IMAGES", "a=/opt/a, pytorch:2=docker:pytorch/pytorch:2.4,*=apptainer:/x.sif")
    assert env_images("JOB_IMAGES") == {
        "a": "/opt/a", "pytorch:2": "docker:pytorch/pytorch:2.4", "*": "apptainer:/x.sif",
    }  # fmt: skip
    for bad in ("a", "a=", "=b", "a=relative", "a=kvm:x", "a=docker:"):
        monkeypatch.setenv("JOB_IMAGES", bad)
        with pytest.raises(ImproperlyConfigured, match="JOB_IMAGES"):
            env_images("JOB_IMAGES")


def test_a_name_stands_for_itself_or_any(settings):
    settings.JOB_IMAGES = {"a": "docker:x:1", "*": "/opt/any"}
    assert (find_image("a"), find_image("b"), find_image("")) == (Image("docker", "x:1"), Image("", "/opt/any"), None)


def test_what_cannot_be_honoured_is_refused_with_the_way_out(settings, monkeypatch):
    settings.JOB_IMAGES = {"gone": "/nowhere", "boxed": "podman:x"}
    monkeypatch.setenv("PATH", "/nowhere")
    for name, said in (("other", "JOB_IMAGES=other="), ("gone", "no bin/python"), ("boxed", "podman is not installed")):
        with pytest.raises(Invalid, match=said):
            check_image(name)
    check_image("")


def test_programs_of_a_python_environment_come_first():
    env = environment_of(Image("", "/opt/a"), {"PATH": "/usr/bin"})
    assert env == {"PATH": "/opt/a/bin:/usr/bin", "VIRTUAL_ENV": "/opt/a"}
    assert environment_of(None, {"PATH": "/usr/bin"}) == {"PATH": "/usr/bin"}


def test_a_container_gets_account_label_directories_environment_and_gpus(tools):
    run = make_run()
    words = command_in(
        Image("docker", "img"), run, 1, spec(run, LR="1", PATH="/usr/bin", CUDA_VISIBLE_DEVICES="GPU-1,GPU-2")
    )
    line = " ".join(words)
    for part in (f"--name mlserver-{run.pk}-1", f"--label mlserver.run={run.pk}", "--user 1000:100", "--env LR",
                 f"--volume {run.directory}:{run.directory}", "--volume /work:/work", '--gpus "device=GPU-1,GPU-2"',
                 "--workdir /work img python fit.py"):  # fmt: skip
        assert part in line
    assert "--env PATH" not in line
    podman = command_in(Image("podman", "img"), run, 0, spec(run, CUDA_VISIBLE_DEVICES="GPU-1"))
    assert "nvidia.com/gpu=GPU-1" in podman


def test_apptainer_runs_it_as_a_child():
    run = make_run()
    words = command_in(Image("apptainer", "/x.sif"), run, 0, spec(run, CUDA_VISIBLE_DEVICES="GPU-1"))
    assert words[:3] == ["apptainer", "exec", "--nv"] and words[-3:] == ["/x.sif", "python", "fit.py"]
    assert "--nv" not in command_in(Image("apptainer", "/x.sif"), run, 0, spec(run))
    assert command_in(None, run, 0, spec(run)) == ["python", "fit.py"]


def test_containers_that_are_left_are_ended_by_their_label(tools, settings):
    settings.JOB_IMAGES = {"boxed": "docker:x", "sif": "apptainer:y"}
    assert end_containers("boxed", "20260101_000000_abcdef") == 1
    assert (tools / "calls").read_text().splitlines() == [
        "docker ps --quiet --filter label=mlserver.run=20260101_000000_abcdef", "docker kill c0ffee",
    ]  # fmt: skip
    assert end_containers("sif", "x") == end_containers("", "x") == end_containers("unknown", "x") == 0
