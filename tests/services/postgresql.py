"""A throw-away PostgreSQL server."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg

from tests.serving import free_port
from tests.waiting import until

DEBIAN = Path("/usr/lib/postgresql")
# Nothing here has to survive a power cut.
OPTIONS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200")


def program(name: str) -> str | None:
    """Debian keeps the server's programs out of PATH."""
    newest = sorted(DEBIAN.glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    return shutil.which(name) or (str(newest[-1]) if newest else None)


def is_installed() -> bool:
    return program("initdb") is not None


def account() -> str | None:
    """PostgreSQL refuses to run as root, so root hands it to an account without rights; None: stay who we are."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


@contextlib.contextmanager
def postgresql() -> Iterator[str]:
    """URL of an empty database of a new server; it ends with the context."""
    directory = Path(tempfile.mkdtemp(prefix="mlserver-postgresql-"))
    user = account()
    if user is not None:
        shutil.chown(directory, user)
    port = free_port()
    initdb = [str(program("initdb")), "-D", str(directory / "data"), "-U", "mlserver", "-A", "trust", "-E", "UTF8"]
    subprocess.run([*initdb, "--locale=C", "--no-sync"], cwd=directory, user=user, check=True, capture_output=True)
    command = [str(program("postgres")), "-D", str(directory / "data"), "-p", str(port), "-k", str(directory)]
    settings = [word for option in (*OPTIONS, "listen_addresses=127.0.0.1") for word in ("-c", option)]
    with open(directory / "log", "wb") as log:
        server = subprocess.Popen([*command, *settings], cwd=directory, user=user, stdout=log, stderr=log)
    url = f"postgresql://mlserver@127.0.0.1:{port}/postgres"
    try:
        until(lambda: answers(url), within_s=30, what=f"PostgreSQL; {(directory / 'log')}")
        yield url
    finally:
        server.send_signal(signal.SIGINT)  # "fast": ends open connections
        server.wait(timeout=30)
        shutil.rmtree(directory, ignore_errors=True)


def answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def new_database(url: str, name: str) -> str:
    """URL of a fresh database on the same server."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return url.rpartition("/")[0] + f"/{name}"
