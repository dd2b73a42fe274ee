"""Run the command that a function of the user makes: `python -m mlserver_client.task_function MODULE:FUNCTION`.

The function gets the parameters of its task (FLOWLINE_PARAMETERS, a JSON object) and the index of the GPU, -1 on the
CPU, and returns a shell command, which takes the place of this process. What it raises ends the run, with its
traceback in the log.
"""

import importlib
import json
import os
import sys
from pathlib import Path

PARAMETERS = "FLOWLINE_PARAMETERS"


def main(words: "list[str]") -> None:
    if len(words) != 1 or not all(words[0].partition(":")):
        sys.exit("usage: python -m mlserver_client.task_function MODULE:FUNCTION")
    module, _, name = words[0].partition(":")
    sys.path.insert(0, str(Path.cwd()))
    function = getattr(importlib.import_module(module), name)
    gpus = os.environ.get("MLSERVER_GPU_INDICES", "")
    command = function(json.loads(os.environ.get(PARAMETERS, "{}")), int(gpus.split(",")[0]) if gpus else -1)
    if not isinstance(command, str):
        raise TypeError(f"{words[0]} returned {type(command).__name__}, not a shell command")
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv("/bin/sh", ["/bin/sh", "-c", command])


if __name__ == "__main__":
    main(sys.argv[1:])
