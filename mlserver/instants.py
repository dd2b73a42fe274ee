"""Instants as numbers, made by the database: lists of thousands of rows have no datetime objects to make."""

from typing import Any

from django.db.models import Expression, FloatField, Func
from django.db.models.sql.compiler import SQLCompiler


class EpochSeconds(Func):
    """Seconds since 1970 of a column of instants, with its microseconds; None where it is null."""

    output_field = FloatField()
    # What the database answers is a float already; Django would call float() for each row.
    convert_value = staticmethod(Expression._convert_value_noop)  # type: ignore[attr-defined]

    def as_sqlite(self, compiler: SQLCompiler, connection: Any, **context: Any) -> tuple[str, Any]:
        """SQLite has text: `2026-01-31 12:00:00`, with a fraction of six digits unless it is zero."""
        # Whole seconds from the days, which are exact to 0.05 ms; the fraction is a number as it stands, or empty.
        days = "julianday(substr(%(expressions)s, 1, 19)) - 2440587.5"
        template = f"(round(({days}) * 86400.0) + substr(%(expressions)s, 20))"
        sql, params = self.as_sql(compiler, connection, template=template, **context)
        return sql, (*params, *params)

    def as_postgresql(self, compiler: SQLCompiler, connection: Any, **context: Any) -> tuple[str, Any]:
        template = "EXTRACT(EPOCH FROM %(expressions)s)::double precision"
        return self.as_sql(compiler, connection, template=template, **context)
