"""`python -m registry.datasets PATH --name FILE_NAME`: the facts of a file as one line of JSON.

Exit code 1 and {"error": ...} when the file is no dataset. Run as a process of its own under limits of memory and
time, because the file is anybody's.
"""

import argparse
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path


def main(arguments: list[str] | None = None) -> int:
    """The exit code; prints one line."""
    parser = argparse.ArgumentParser(prog="python -m registry.datasets", description="Say what a dataset file holds.")
    parser.add_argument("path", type=Path)
    parser.add_argument("--name", required=True, help="the name it was uploaded as; its suffix tells the format")
    options = parser.parse_args(arguments)
    # NumPy would reserve address space for a thread on each core, which counts against the limit.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from registry.datasets.describe import describe
    from registry.datasets.facts import Unreadable

    try:
        facts = asdict(describe(options.path, options.name))
    except Unreadable as error:
        return _refused(str(error))
    except MemoryError:
        return _refused("reading the file takes more memory than is given to it")
    print(json.dumps(facts))
    return 0


def _refused(reason: str) -> int:
    print(json.dumps({"error": reason}))
    return 1


if __name__ == "__main__":
    sys.exit(main())
