"""Writes with what a job was made when its script does not import this library.

The server starts it beside the job, a second after the command: in the job's account, environment and directory, with
its interpreter, so that nothing of the job's is ever touched by the server's own account.
"""

import os
import sys
from pathlib import Path

from mlserver_client.environment import environment, here
from mlserver_client.files import write_json


def main(arguments: list[str] | None = None) -> int:
    """`arguments`: where to write, then the job's command. Writes nothing where something is already."""
    path, *command = sys.argv[1:] if arguments is None else arguments
    # A run directory below somebody's repository is no part of it.
    os.environ["GIT_CEILING_DIRECTORIES"] = str(Path(path).parent.parent)
    begun = {"argv": command, "cwd": here(), "executable": sys.executable}
    facts = environment(begun, source_of(command, Path(here() or "/")))
    if not os.path.lexists(path):
        write_json(Path(path), facts)
    return 0


def source_of(command: list[str], cwd: Path) -> Path:
    """Where the code lies: beside the script that is named, else where the job works."""
    scripts = (cwd / word for word in command if word.endswith(".py"))
    return next((script.parent for script in scripts if script.is_file()), cwd)
