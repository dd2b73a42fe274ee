"""Command line of the client."""

import argparse
import sys
from pathlib import Path

from mlserver_client import __version__
from mlserver_client.delivery.sync import sync
from mlserver_client.delivery.target import configured_target


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 all done, 1 something is left, 2 bad usage."""
    parser = argparse.ArgumentParser(prog="mlserver-client", description=__doc__)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("sync", help="deliver runs that were not, or not wholly, delivered")
    command.add_argument("directory", type=Path, help="a run's directory, or a storage root with many")
    command.add_argument("--server", help="address of the server (MLSERVER_URL)")
    command.add_argument("--api-key", help="its key; better in MLSERVER_API_KEY, which others cannot see")
    command.add_argument("--within-s", type=float, default=60, help="how long to wait for a server that is away (60)")
    given = parser.parse_args(arguments)
    try:
        target = configured_target(given.server, given.api_key)
    except ValueError as error:
        parser.error(str(error))
    if target is None:
        parser.error("no server: give --server and a key, or set MLSERVER_URL and MLSERVER_API_KEY")
    return 0 if sync(given.directory, target, within_s=given.within_s) else 1


if __name__ == "__main__":
    sys.exit(main())
