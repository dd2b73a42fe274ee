"""Images of jobs: names that JOB_IMAGES maps to a Python environment or a container.

A container is no descendant of its supervisor, which holds only the client that started it: it carries a label and is
ended by that (`end_containers`). Apptainer starts processes like any program.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings

from mlserver.errors import Invalid, shown
from training import paths
from training.models import Run

ENGINES = ("docker", "podman", "apptainer")
ANY = "*"
LABEL = "mlserver.run"
# Names of the host that mean nothing inside a container.
NOT_INSIDE = {
    "PATH", "HOME", "USER", "LOGNAME", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "CONDA_PREFIX", "CUDA_VISIBLE_DEVICES",
}  # fmt: skip


@dataclass(frozen=True)
class Image:
    """`engine` is empty for a Python environment; `target` is its directory, or what the engine calls the image."""

    engine: str
    target: str

    @classmethod
    def parse(cls, text: str) -> "Image":
        engine, colon, rest = text.partition(":")
        return cls(engine, rest) if colon and engine in ENGINES else cls("", text)


def find_image(name: str) -> Image | None:
    """None for the default environment. Raises Invalid that says how a name is mapped."""
    if not name:
        return None
    text = settings.JOB_IMAGES.get(name) or settings.JOB_IMAGES.get(ANY)
    if text is None:
        known = ", ".join(sorted(settings.JOB_IMAGES)) or "none"
        raise Invalid.field(
            "image",
            f"{shown(name)} is no image of this server; there are: {known}. An administrator maps it by "
            f"JOB_IMAGES={name}=/path/of/a/python/environment or {name}=docker:IMAGE (podman:, apptainer:)",
        )
    return Image.parse(text)


def check_image(name: str) -> None:
    """Raises Invalid for a name that cannot be honoured here."""
    image = find_image(name)
    if image is not None and (problem := problem_of(image)):
        raise Invalid.field("image", f"{shown(name)} cannot be used: {problem}")


def problem_of(image: Image) -> str:
    """Empty when it can be used on this machine."""
    if not image.engine:
        is_there = (Path(image.target) / "bin" / "python").exists()
        return "" if is_there else f"{image.target} is no Python environment (JOB_IMAGES), it has no bin/python"
    if shutil.which(image.engine) is None:
        return f"{image.engine} is not installed on this machine: map the name to a Python environment (JOB_IMAGES)"
    return ""


def environment_of(image: Image | None, env: Mapping[str, str]) -> dict[str, str]:
    """`env` with the programs of a Python environment before all others."""
    if image is None or image.engine:
        return dict(env)
    return {**env, "VIRTUAL_ENV": image.target, "PATH": f"{image.target}/bin:{env.get('PATH', '')}"}


def image_problem(name: str) -> str:
    """Why a run in it cannot start now; empty when it can."""
    try:
        check_image(name)
    except Invalid as error:
        return error.message
    return ""


def command_in(image: Image | None, run: Run, rank: int, spec: Mapping[str, Any]) -> list[str]:
    """What is executed on the host so that the command of a supervisor's `spec` runs in `image`."""
    argv: list[str] = spec["argv"]
    if image is None or not image.engine:
        return argv
    env: dict[str, str] = spec["env"]
    gpus = [uuid for uuid in env.get("CUDA_VISIBLE_DEVICES", "").split(",") if uuid]
    mounts = list(dict.fromkeys([str(run.directory), spec["cwd"], str(paths.sdk_root())]))
    if image.engine == "apptainer":
        binds = [word for mount in mounts for word in ("--bind", mount)]
        return ["apptainer", "exec", *(["--nv"] if gpus else []), *binds, "--pwd", spec["cwd"], image.target, *argv]
    user = spec["user"] or {"uid": os.getuid(), "gid": os.getgid()}
    return [
        image.engine, "run", "--rm", "--init", "--network=host", "--ipc=host",
        "--name", f"mlserver-{run.pk}-{rank}", "--label", f"{LABEL}={run.pk}", "--user", f"{user['uid']}:{user['gid']}",
        *(word for mount in mounts for word in ("--volume", f"{mount}:{mount}")),
        *(word for name in sorted(set(env) - NOT_INSIDE) for word in ("--env", name)),
        *gpu_options(image.engine, gpus), "--workdir", spec["cwd"], image.target, *argv,
    ]  # fmt: skip


def gpu_options(engine: str, uuids: Sequence[str]) -> list[str]:
    """https://docs.docker.com/reference/cli/docker/container/run/#gpus, podman by the Container Device Interface."""
    if not uuids:
        return []
    if engine == "podman":
        return [word for uuid in uuids for word in ("--device", f"nvidia.com/gpu={uuid}")]
    return ["--gpus", f'"device={",".join(uuids)}"']


def end_containers(image_name: str, run_id: str, *, within_s: float = 3) -> int:
    """Kill the containers of a run that are left, by their label; how many there were. Safe to repeat."""
    text = settings.JOB_IMAGES.get(image_name) or settings.JOB_IMAGES.get(ANY, "")
    engine = Image.parse(text).engine if image_name else ""
    if engine not in ("docker", "podman") or shutil.which(engine) is None:
        return 0
    listed = run_engine([engine, "ps", "--quiet", "--filter", f"label={LABEL}={run_id}"], within_s)
    found = listed.split()
    if found:
        run_engine([engine, "kill", *found], within_s)
    return len(found)


def run_engine(words: Sequence[str], within_s: float) -> str:
    """What it printed; empty when it failed or did not answer."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=within_s, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
