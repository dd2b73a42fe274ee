"""Commands on a home that was never migrated, or whose database is away: one line, no traceback."""

import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from django.db import utils

from mlserver.unusable_database import explained, is_about_the_database
from tests.serving import REPOSITORY, server_environment

COMMANDS = [
    ["tasks"], ["submit", "--", "x"], ["stop", "1"], ["retry", "1"], ["hold", "1"], ["release", "1"],
    ["logs", "1"], ["logs", "-f", "1"], ["gpus"], ["schedules"], ["apikey", "list"], ["apikey", "create", "x"],
    ["models", "list"], ["datasets", "list"], ["artifacts", "purge"],
]  # fmt: skip


def run(home: Path, *words: str, **env: str) -> tuple[int, str, str]:
    command = [sys.executable, "manage.py", *words]
    environment = server_environment(home) | env
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.process
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_it_asks_for_a_migration(words: list[str], tmp_path: Path) -> None:
    line = "mlserver: the database is not up to date: run `python manage.py migrate` first (`make run` does)\n"
    assert run(tmp_path, *words) == (1, "", line)


@pytest.mark.process
@pytest.mark.parametrize("words", [["tasks"], ["migrate"]], ids=" ".join)
def test_it_says_which_database_is_away(words: list[str], tmp_path: Path) -> None:
    status, out, err = run(tmp_path, *words, DATABASE_URL="postgres://me:hidden@127.0.0.1:1/x")
    assert (status, out, len(err.splitlines())) == (1, "", 1), err
    assert "Connection refused" in err and "DATABASE_URL=postgres://...@127.0.0.1:1/x" in err


@pytest.mark.process
def test_it_shows_the_traceback_when_asked(tmp_path: Path) -> None:
    assert "Traceback" in run(tmp_path, "tasks", "--traceback")[2]


def test_a_missing_table_or_column_is_a_missing_migration() -> None:
    missing = utils.ProgrammingError("relation does not exist")
    missing.__cause__ = psycopg.errors.UndefinedTable()
    for error in (missing, utils.OperationalError("no such column: x")):
        assert is_about_the_database(error)
        assert "run `python manage.py migrate`" in explained(error)


def test_an_error_of_a_statement_is_not_the_databases() -> None:
    for error in (utils.ProgrammingError("syntax error"), utils.IntegrityError("unique")):
        assert not is_about_the_database(error)
    assert is_about_the_database(utils.DatabaseError("file is not a database"))
    assert "cannot be used: OperationalError" in explained(utils.OperationalError())
