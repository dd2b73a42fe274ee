"""Statements that Django compiles once. Building a query takes it ten times as long as the database needs to answer
one by primary key; what every call asks for is built at the first one, and then only run.
"""

import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar, cast

from django.core.exceptions import EmptyResultSet
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.db.models import Func, IntegerField, Model, QuerySet, Subquery, Value
from django.db.models.query import get_related_populators
from django.db.models.sql import UpdateQuery
from django.db.models.sql.compiler import SQLCompiler
from django.db.transaction import TransactionManagementError

M = TypeVar("M", bound=Model)
S = TypeVar("S", bound="Statement")
T = TypeVar("T")
Row = dict[str, Any]
Rows = list[tuple[Any, ...]]

# Statements of one `Prepared` for different numbers of values.
MOST_COUNTS = 32
# Of the number in a column, beside its sign; drivers raise an error for longer ones.
MOST_BITS = 63


class Mark:
    """Where a value goes."""

    def __init__(self, place: int) -> None:
        self.place = place


class RowCount(Func):
    """COUNT(*) of all rows of a queryset, as its only column; unlike Count it groups nothing."""

    template = "COUNT(*)"
    output_field = IntegerField()


class Slice(Subquery):
    """Rows of an ordered queryset, to filter by with `__in`; unlike those of `queryset[:]` its bounds may be marks."""

    template = "(%(subquery)s LIMIT %%s OFFSET %%s)"

    def __init__(self, queryset: QuerySet[Any, Any], start: Value, size: Value) -> None:
        super().__init__(queryset)
        self._bounds = (size.value, start.value)

    def as_sql(self, *args: Any, **context: Any) -> tuple[str, Any]:
        sql, params = super().as_sql(*args, **context)
        return sql, (*params, *self._bounds)


class Statement:
    """SQL for one connection; the marks among its parameters are where values go."""

    def __init__(self, compiler: SQLCompiler) -> None:
        self.connection = compiler.connection
        self._locks = compiler.query.select_for_update and self.connection.features.has_select_for_update
        try:
            self._sql, self._params = compiler.as_sql()
        except EmptyResultSet:  # nothing can be found, as in an empty list: no statement is needed
            self._sql, self._params = "", ()

    def require_marks(self, count: int) -> None:
        """Some lookups turn what they are given into text at once: `In(F(...), marks)` instead of `run_id__in`."""
        if not self._sql:
            return
        left = set(range(count)) - {it.place for it in self._params if isinstance(it, Mark)}
        if left:
            raise TypeError(f"values {sorted(left)} are not in the statement: {self._sql}")

    def run(self, values: Sequence[Any], read: Callable[[CursorWrapper], T]) -> T:
        if self._locks and self.connection.get_autocommit():  # Django itself asks only while it compiles
            raise TransactionManagementError("select_for_update cannot be used outside of a transaction.")
        given = [self._adapted(value) for value in values]
        params = [given[it.place] if isinstance(it, Mark) else it for it in self._params]
        with self.connection.cursor() as cursor:
            cursor.execute(self._sql, params)
            return read(cursor)

    def _adapted(self, value: Any) -> Any:
        if isinstance(value, datetime):
            return self.connection.ops.adapt_datetimefield_value(value)
        is_too_long = isinstance(value, int) and value.bit_length() > MOST_BITS
        return None if is_too_long else value


class Selection(Statement):
    """A SELECT, and what makes Python values and objects of its rows."""

    def __init__(self, compiler: SQLCompiler) -> None:
        super().__init__(compiler)
        select = [expression for expression, _, _ in compiler.select or []]
        self._conversions = list(compiler.get_converters(select).items())
        self._columns = compiler.query.selected or {}
        self._info: Any = None if self._columns else compiler.klass_info
        if self._info:
            fields = self._info["select_fields"]
            self._own = slice(fields[0], fields[-1] + 1)
            self._names = [expression.target.attname for expression in select[self._own]]
            self._related = get_related_populators(self._info, compiler.select, self.connection.alias)  # type: ignore[call-arg]

    def rows(self, values: Sequence[Any]) -> Rows:
        if not self._sql:
            return []
        found: Rows = self.run(values, lambda cursor: cursor.fetchall())
        return self._converted(found) if found and self._conversions else found

    def dicts(self, values: Sequence[Any]) -> list[Row]:
        return [dict(zip(self._columns, row, strict=True)) for row in self.rows(values)]

    def objects(self, values: Sequence[Any]) -> list[Any]:
        found = []
        for row in self.rows(values):
            made = self._info["model"].from_db(self.connection.alias, self._names, row[self._own])
            for populator in self._related:
                populator.populate(row, made)
            found.append(made)
        return found

    def _converted(self, rows: Rows) -> Rows:
        columns: list[Sequence[Any]] = list(zip(*rows, strict=True))
        for at, (converters, expression) in self._conversions:
            for convert in converters:
                columns[at] = [convert(cell, expression, self.connection) for cell in columns[at]]
        return list(zip(*columns, strict=True))


class OfThread(threading.local):
    def __init__(self) -> None:
        self.statements: dict[int, Any] = {}


class Known(Generic[S]):
    """Statements for the connection of the calling thread, compiled by `compile` when they are first asked for."""

    def __init__(self, compile: Callable[[BaseDatabaseWrapper, Sequence[Value]], S]) -> None:
        self._compile = compile
        self._of_thread = OfThread()

    def get(self, count: int) -> S:
        """The one for `count` values."""
        connection = connections[DEFAULT_DB_ALIAS]
        of_thread: dict[int, S] = self._of_thread.statements
        known = of_thread.get(count)
        if known is None or known.connection is not connection:
            if len(of_thread) >= MOST_COUNTS:
                of_thread.clear()
            marks = [Value(Mark(place)) for place in range(count)]
            known = self._compile(connection, marks)
            known.require_marks(count)
            of_thread[count] = known
        return known


class Prepared(Generic[M]):
    """A queryset whose values come later.

    `build` is given a mark for each value, to filter by as by a value, `pk__in=marks` included. Values are what the
    database takes (text, numbers, bytes) or instants; None finds nothing, nor does a number of more than 64 bits. Safe
    between threads, each of which has its connection.
    """

    def __init__(self, build: Callable[..., QuerySet[M, Any]]) -> None:
        self._known = Known(
            lambda connection, marks: Selection(build(*marks).query.get_compiler(connection=connection))
        )

    def rows(self, *values: Any) -> Rows:
        """Of a `values_list`, all at once."""
        return self._known.get(len(values)).rows(values)

    def dicts(self, *values: Any) -> list[Row]:
        """Of `values`, all at once."""
        return self._known.get(len(values)).dicts(values)

    def all(self, *values: Any) -> list[M]:
        """Of a queryset of models, with what it selects of related ones."""
        return self._known.get(len(values)).objects(values)

    def first(self, *values: Any) -> M | None:
        """The first of them. Slice the queryset."""
        return next(iter(self.all(*values)), None)


class PreparedUpdate:
    """`update` of a queryset whose values come later; `build` returns the queryset and the new values of columns."""

    def __init__(self, build: Callable[..., tuple[QuerySet[Any, Any], dict[str, Any]]]) -> None:
        def compile(connection: BaseDatabaseWrapper, marks: Sequence[Value]) -> Statement:
            queryset, columns = build(*marks)
            query = cast(UpdateQuery, queryset.query.chain(UpdateQuery))
            query.add_update_values(columns)
            return Statement(query.get_compiler(connection=connection))

        self._known = Known(compile)

    def run(self, *values: Any) -> int:
        """How many rows there were."""
        return self._known.get(len(values)).run(values, count_of)


def count_of(cursor: CursorWrapper) -> int:
    return int(cursor.rowcount)
