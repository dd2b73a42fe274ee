"""Find runs by a part of what they are called; SQLite's index of it is a table of its own.

PostgreSQL has an index of trigrams over the upper-case columns that `icontains` compares. SQLite has the full-text
table `training_run_search`, which triggers keep; `training_run_number` gives each run the number of its row there,
for SQLite may renumber the rows of a table without a number of its own.
"""

import re
from typing import Any

from django.db import connections
from django.db.models import BooleanField, F, Func, Q
from django.db.models.sql.compiler import SQLCompiler

COLUMNS = ("project", "name", "notes", "id")
# Shorter texts have no trigram: they are looked for in every run.
SHORTEST = 3
INDEX = "training_run_search"


class InSearchIndex(Func):
    """Whether SQLite's index says that the run of this id mentions a text of three characters or more."""

    output_field = BooleanField()
    template = (
        "%(expressions)s IN (SELECT number.run_id FROM training_run_search "
        "JOIN training_run_number AS number ON number.number = training_run_search.rowid "
        "WHERE training_run_search MATCH "
    )

    def __init__(self, text: str) -> None:
        super().__init__(F("id"))
        self.phrase = '"{}"'.format(text.replace('"', '""'))

    def as_sqlite(self, compiler: SQLCompiler, connection: Any, **context: Any) -> tuple[str, Any]:
        sql, params = self.as_sql(compiler, connection, **context)
        return f"{sql}%s)", (*params, self.phrase)


def mentions(text: str, *, using: str = "default") -> Q | InSearchIndex:
    """Runs with `text` in project, name, notes or id, in any case."""
    if connections[using].vendor != "sqlite":
        return any_column("icontains", text)
    if len(text) >= SHORTEST and has_index(using):
        return InSearchIndex(text)
    # SQLite's own LIKE knows the case of ASCII letters alone.
    return any_column("iregex", re.escape(text))


def any_column(lookup: str, value: str) -> Q:
    found = Q()
    for column in COLUMNS:
        found |= Q(**{f"{column}__{lookup}": value})
    return found


def has_index(using: str) -> bool:
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT 1 FROM sqlite_master WHERE name = %s", [INDEX])
        return cursor.fetchone() is not None
