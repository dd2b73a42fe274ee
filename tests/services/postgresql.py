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


class PostgresqlServer:
    """A server of its own directory, which may be stopped and started again."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="mlserver-postgresql-"))
        self.user = account()
        if self.user is not None:
            shutil.chown(self.directory, self.user)
        self.port = free_port()
        self.url = f"postgresql://mlserver@127.0.0.1:{self.port}/postgres"
        initdb = [str(program("initdb")), "-D", str(self.directory / "data"), "-U", "mlserver", "-A", "trust"]
        # Letters beyond ASCII have a case, as on the servers that people run.
        command = [*initdb, "-E", "UTF8", "--locale=C", "--lc-ctype=C.UTF-8", "--no-sync"]
        subprocess.run(command, cwd=self.directory, user=self.user, check=True, capture_output=True)

    def start(self) -> None:
        """Returns when it answers."""
        where = ["-D", str(self.directory / "data"), "-p", str(self.port), "-k", str(self.directory)]
        settings = [word for option in (*OPTIONS, "listen_addresses=127.0.0.1") for word in ("-c", option)]
        with open(self.directory / "log", "ab") as log:
            self.process = subprocess.Popen(
                [str(program("postgres")), *where, *settings],
                cwd=self.directory,
                user=self.user,
                stdout=log,
                stderr=log,
            )
        until(lambda: answers(self.url), within_s=30, what=f"PostgreSQL; {self.directory / 'log'}")

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)  # "fast": ends open connections
        self.process.wait(timeout=30)


@contextlib.contextmanager
def postgresql() -> Iterator[PostgresqlServer]:
    """A new server with an empty database; it ends with the context."""
    server = PostgresqlServer()
    server.start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(server.directory, ignore_errors=True)


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
