"""The forked child on its way to become the command. It may run as another account, so it imports nothing more."""

from __future__ import annotations

import os
from _signal import NSIG, SIG_DFL, signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from training.execution.supervision.confine import Confinement


def become_command(spec: dict[str, Any], confinement: Confinement, out: int, err: int, failure: int) -> NoReturn:
    """Never returns; why it failed goes through the pipe `failure` as text."""
    try:
        os.setsid()
        confinement.enter()
        prefer_as_victim()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        reset_signals()
        switch_account(spec["user"])
        os.umask(spec["umask"])
        change_directory(spec["cwd"])
        execute(spec["argv"], spec["env"])
    except BaseException as error:  # noqa: BLE001  nothing may come back from the fork; the reason goes to the parent
        os.write(failure, said(error).encode(errors="replace")[:4000])
    finally:
        os._exit(127)


def reset_signals() -> None:
    """No signal ignored, whatever Python, a shell or a service manager made us inherit."""
    for signum in range(1, NSIG):
        try:
            signal(signum, SIG_DFL)
        except (OSError, ValueError):
            pass  # KILL and STOP, and two that the C library keeps for its threads


def switch_account(user: dict[str, Any] | None) -> None:
    if user:
        os.setgroups(user["groups"])
        os.setgid(user["gid"])
        os.setuid(user["uid"])


def change_directory(path: str) -> None:
    try:
        os.chdir(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, f"working directory {path}") from None


def execute(argv: list[str], env: dict[str, str]) -> None:
    """execvpe(3); os.execvpe itself would import a module, which the job's account may not be able to read."""
    program = argv[0]
    places = [""] if "/" in program else [f"{place or '.'}/" for place in env.get("PATH", os.defpath).split(":")]
    denied = None
    for place in places:
        try:
            os.execve(f"{place}{program}", argv, env)
        except (FileNotFoundError, NotADirectoryError) as error:
            missing = error
        except PermissionError as error:
            denied = error
    last = denied or missing
    raise OSError(last.errno, last.strerror, program)


def said(error: BaseException) -> str:
    if isinstance(error, OSError):
        return f"{error.filename or 'the command'}: {error.strerror}"
    return f"{type(error).__name__}: {error}"


def prefer_as_victim() -> None:
    """When memory runs out the kernel takes the job, not its supervisor or the server."""
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="utf-8") as file:
            file.write("500")
    except OSError:
        pass
