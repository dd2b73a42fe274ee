"""Find a tag or a label inside a JSON column, which SQLite's JSON lookups cannot."""

from typing import Any

from django.db.models import BooleanField, F, Func, JSONField, Value
from django.db.models.sql.compiler import SQLCompiler


class HasTag(Func):
    """True where the list in `column` holds exactly this tag."""

    function = "jsonb_exists"
    output_field = BooleanField()

    def __init__(self, column: str, tag: str | Value) -> None:
        super().__init__(F(column), tag if isinstance(tag, Value) else Value(tag))

    def as_sqlite(self, compiler: SQLCompiler, connection: Any, **context: Any) -> tuple[str, Any]:
        return self.as_sql(
            compiler,
            connection,
            template="EXISTS (SELECT 1 FROM json_each(%(expressions)s)",
            arg_joiner=") AS tag WHERE tag.value = ",
            **context,
        )


class HasLabel(Func):
    """True where the list in `column` holds a label of this key and value."""

    output_field = BooleanField()
    template = "(%(expressions)s)"
    arg_joiner = " @> "

    def __init__(self, column: str, key: str, value: str) -> None:
        super().__init__(F(column), Value([{"key": key, "value": value}], output_field=JSONField()))
        self.label = (key, value)

    def as_sqlite(self, compiler: SQLCompiler, connection: Any, **context: Any) -> tuple[str, Any]:
        column, parameters = compiler.compile(self.source_expressions[0])
        said = "json_extract(label.value, '$.key') = %s AND json_extract(label.value, '$.value') = %s"
        return f"EXISTS (SELECT 1 FROM json_each({column}) AS label WHERE {said})", [*parameters, *self.label]
