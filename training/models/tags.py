"""Find a tag inside a JSON column, which SQLite's JSON lookups cannot."""

from typing import Any

from django.db.models import BooleanField, F, Func, Value
from django.db.models.sql.compiler import SQLCompiler


class HasTag(Func):
    """True where the list in `column` holds exactly this tag."""

    function = "jsonb_exists"
    output_field = BooleanField()

    def __init__(self, column: str, tag: str) -> None:
        super().__init__(F(column), Value(tag))

    def as_sqlite(self, compiler: SQLCompiler, connection: Any, **context: Any) -> tuple[str, Any]:
        return self.as_sql(
            compiler,
            connection,
            template="EXISTS (SELECT 1 FROM json_each(%(expressions)s)",
            arg_joiner=") AS tag WHERE tag.value = ",
            **context,
        )
