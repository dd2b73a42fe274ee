"""Stands in for the reader of datasets, and does what its second argument says."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

FACTS = {
    "format": "csv",
    "sample_count": 3,
    "dimensions": "2",
    "input_shape": [1],
    "target": "numbers",
    "class_count": None,
    "untrainable_reason": "",
}


def answer(**changes: object) -> None:
    print(json.dumps(FACTS | changes))


def sleep() -> None:
    """It may write no file, so its pids go through a pipe that the test made."""
    child = subprocess.Popen(["sleep", "600"])
    with Path(sys.argv[1]).with_suffix(".pids").open("w") as pipe:
        pipe.write(f"{os.getpid()} {child.pid}")
    time.sleep(600)


def write_a_file() -> None:
    try:
        Path(sys.argv[1]).with_suffix(".written").write_text("x")
    except OSError as error:
        print(json.dumps({"error": str(error.strerror)}))
        sys.exit(1)


def say_what_is_around() -> None:
    print("a warning of a library", file=sys.stderr)
    answer(untrainable_reason=" ".join(sorted(os.environ)))
    print("{not json", file=sys.stderr)


def refuse() -> None:
    print(json.dumps({"error": "row 3 has\n2 columns"}))
    sys.exit(1)


def talk() -> None:
    while True:
        print("x" * 1000)


def spin() -> None:
    while True:
        pass


def die() -> None:
    os.abort()


DEEDS: dict[str, Callable[[], object]] = {
    "sleep": sleep,
    "write": write_a_file,
    "around": say_what_is_around,
    "refuse": refuse,
    "talk": talk,
    "spin": spin,
    "die": die,
    "eat": lambda: bytearray(3 * 1024**3),
    "raise": lambda: {}["no such key"],
    "nothing": lambda: None,
    "status": lambda: (answer(), sys.exit(3)),
}

if __name__ == "__main__":
    DEEDS[sys.argv[3]]()
