"""SQLite's index of what runs are called: made when the database is migrated.

A migration that changes the table of runs makes a new one on SQLite, which loses its triggers. So they are looked at
after every `migrate`, and the index is filled again when they had been gone. A SQLite without FTS5 or its tokenizer
trigram (before 3.34) has no index, and reads all runs instead.
"""

import logging
from typing import Any

from django.db import OperationalError, connections, transaction

from training.models.mentions import COLUMNS, INDEX

log = logging.getLogger(__name__)

NAMES = ", ".join(COLUMNS)
TABLES = (
    "CREATE TABLE IF NOT EXISTS training_run_number (number INTEGER PRIMARY KEY, run_id TEXT NOT NULL UNIQUE)",
    f"CREATE VIRTUAL TABLE IF NOT EXISTS {INDEX} USING fts5({NAMES}, tokenize = 'trigram')",
)
PUT = (
    "INSERT OR IGNORE INTO training_run_number (run_id) VALUES (new.id); "
    f"INSERT INTO {INDEX} (rowid, {NAMES}) VALUES ((SELECT number FROM training_run_number WHERE run_id = new.id), "
    f"{', '.join(f'new.{name}' for name in COLUMNS)});"
)
TAKE = f"DELETE FROM {INDEX} WHERE rowid = (SELECT number FROM training_run_number WHERE run_id = old.id);"
CHANGED = " OR ".join(f"old.{name} IS NOT new.{name}" for name in COLUMNS)
TRIGGERS = {
    "training_run_search_insert": f"AFTER INSERT ON training_run BEGIN {PUT} END",
    "training_run_search_update": f"AFTER UPDATE OF {NAMES} ON training_run WHEN {CHANGED} BEGIN {TAKE} {PUT} END",
    "training_run_search_delete": (
        f"AFTER DELETE ON training_run BEGIN {TAKE} DELETE FROM training_run_number WHERE run_id = old.id; END"
    ),
}
FILL = (
    f"DELETE FROM {INDEX}",
    "DELETE FROM training_run_number",
    "INSERT INTO training_run_number (run_id) SELECT id FROM training_run",
    f"INSERT INTO {INDEX} (rowid, {NAMES}) SELECT number.number, {', '.join(f'run.{name}' for name in COLUMNS)} "
    "FROM training_run AS run JOIN training_run_number AS number ON number.run_id = run.id",
)


def install(*, using: str = "default", **_: Any) -> bool:
    """True when the index had to be filled. Safe to repeat; of other databases than SQLite nothing is asked."""
    if connections[using].vendor != "sqlite":
        return False
    try:
        with transaction.atomic(using=using):
            return _install(using)
    except OperationalError as error:
        log.warning("searches read all runs: this SQLite has no index of trigrams (%s)", error)
        return False


def _install(using: str) -> bool:
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'training_run'")
        if set(TRIGGERS) <= {name for (name,) in cursor.fetchall()}:
            return False
        for statement in TABLES:
            cursor.execute(statement)
        for name, body in TRIGGERS.items():
            cursor.execute(f"DROP TRIGGER IF EXISTS {name}")
            cursor.execute(f"CREATE TRIGGER {name} {body}")
        for statement in FILL:
            cursor.execute(statement)
    return True
