"""`python -m tests.registry.interrupted PLACE MODELS`: publish a model, say so at PLACE, and wait to be killed."""

import os
import sys
import time
from pathlib import Path

import django

django.setup()

from registry import publish as publishing  # noqa: E402
from registry.blobs import Incoming  # noqa: E402
from registry.copies import COPYING, opened  # noqa: E402

CONTENT = b"w" * 1_000_000


def reached(place: str) -> None:
    if place == sys.argv[1]:
        print(place, flush=True)
        time.sleep(600)


def main() -> None:
    with Incoming.create() as incoming:
        incoming.write(CONTENT[:400_000])
        reached("writing")
        incoming.write(CONTENT[400_000:])
        incoming.keep()
        reached("kept")
        publishing.link_after_commit = lambda *_: reached("committed")
        publishing.publish(
            incoming,
            type="model",
            name="net",
            owner=None,
            file_name="net.pth",
            also=lambda _: reached("in the transaction"),
        )


def copying(models: Path) -> None:
    """As a copy to another file system looks half way."""
    with opened(models / f"{COPYING}{'a' * 64}") as file:
        os.write(file, CONTENT[:400_000])
        reached("copying")


if __name__ == "__main__":
    if sys.argv[1] == "copying":
        copying(Path(sys.argv[2]))
    main()
