"""Lists by key-set cursor: every page costs one indexed query, however far it is from the first.

The cursor holds the ordering, the direction and the sort value and primary key of the row at the page's edge.
It is opaque to clients but not secret: all it can do is choose where in an allowed ordering a page starts.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db.models import F, Field, Model, Q, QuerySet
from django.http import HttpRequest, QueryDict
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from mlserver.api.parsing import query_flag, query_int
from mlserver.api.rendering import to_json
from mlserver.errors import Invalid, shown

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 500


class Page(NamedTuple):
    rows: list[Any]
    next_url: str | None
    previous_url: str | None


class KeysetPage(BasePagination):
    """Pages of `{"results", "next", "previous"}`, with `"count"` only for `?count=1`.

    A plain view calls `KeysetPage.paginate(...)` and `KeysetPage.body(...)`. As the `pagination_class` of a
    viewset it reads the view's `ordering` (default order) and `ordering_fields` (allowed names).
    """

    @staticmethod
    def paginate(
        request: HttpRequest | Request,
        queryset: "QuerySet[Any, Any]",
        *,
        ordering: str = "-pk",
        allowed: Sequence[str] | Mapping[str, str] = ("id",),
    ) -> Page:
        """One page of `queryset`, in one query.

        `queryset` may yield objects, dicts of `.values()` or tuples of `.values_list()`; rows that are not objects
        must contain the primary key and each allowed column. `ordering` is the default, one name with `-` for
        descending; `allowed` names what the query parameter `ordering` may say, or maps those names to columns.
        Raises Invalid for a bad `page_size`, `ordering` or `cursor`.
        """
        query = request.GET
        size = query_int(query, "page_size", default=DEFAULT_PAGE_SIZE, at_least=1, at_most=MAX_PAGE_SIZE)
        order = _Order.read(query, queryset, default=ordering, allowed=allowed)
        cursor = _Cursor.read(query, order)
        rows = list(order.apply(queryset, cursor)[: size + 1])
        has_more, rows = len(rows) > size, rows[:size]
        backward = cursor is not None and cursor.is_backward
        if backward:
            rows.reverse()
        has_next, has_previous = (True, has_more) if backward else (has_more, cursor is not None)
        edges = (rows[-1], rows[0]) if rows else (None, None)
        return Page(
            rows,
            _url(request, order, queryset, edges[0], is_backward=False) if has_next and rows else None,
            _url(request, order, queryset, edges[1], is_backward=True) if has_previous and rows else None,
        )

    @staticmethod
    def body(request: HttpRequest | Request, queryset: "QuerySet[Any, Any]", page: Page) -> dict[str, Any]:
        """The answer of a list; replace `page.rows` first where rows need rendering."""
        body: dict[str, Any] = {"results": page.rows, "next": page.next_url, "previous": page.previous_url}
        if query_flag(request.GET, "count"):
            body["count"] = queryset.order_by().count()
        return body

    def paginate_queryset(self, queryset: Any, request: Request, view: APIView | None = None) -> list[Any]:
        default = getattr(view, "ordering", "-pk")
        allowed = getattr(view, "ordering_fields", ("id",))
        self.request, self.queryset = request, queryset
        self.page = self.paginate(request, queryset, ordering=default, allowed=allowed)
        return self.page.rows

    def get_paginated_response(self, data: Any) -> Response:
        return Response(self.body(self.request, self.queryset, self.page._replace(rows=data)))

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        url = {"type": ["string", "null"], "format": "uri"}
        count = {"type": "integer", "description": "only with ?count=1"}
        properties = {"results": schema, "next": url, "previous": url, "count": count}
        return {"type": "object", "required": ["results", "next", "previous"], "properties": properties}

    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, Any]]:
        names = [sign + name for name in getattr(view, "ordering_fields", ("id",)) for sign in ("", "-")]
        size = {"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE, "default": DEFAULT_PAGE_SIZE}
        schemas: dict[str, dict[str, Any]] = {
            "cursor": {"type": "string"},
            "page_size": size,
            "ordering": {"type": "string", "enum": names},
            "count": {"type": "boolean", "default": False},
        }
        return [{"name": name, "in": "query", "required": False, "schema": it} for name, it in schemas.items()]


@dataclass(frozen=True)
class _Order:
    """One column and the primary key, both in the same direction; NULL sorts last in either."""

    said: str
    column: str
    pk: str
    field: "Field[Any, Any]"
    pk_field: "Field[Any, Any]"
    is_descending: bool

    @classmethod
    def read(
        cls,
        query: QueryDict,
        queryset: "QuerySet[Any, Any]",
        *,
        default: str,
        allowed: Sequence[str] | Mapping[str, str],
    ) -> "_Order":
        columns = allowed if isinstance(allowed, Mapping) else {name: name for name in allowed}
        meta = queryset.model._meta
        said = query.get("ordering") or default
        name = said.removeprefix("-")
        if "ordering" in query and query["ordering"] and name not in columns:
            names = ", ".join(f"{it}, -{it}" for it in columns)
            raise Invalid.field("ordering", f"{shown(said)} must be one of {names}")
        column = columns.get(name, name)
        if column in ("pk", meta.pk.name):
            column = meta.pk.attname
        field = _field(queryset.model, column)
        return cls(said, column, meta.pk.attname, field, meta.pk, said.startswith("-"))

    def apply(self, queryset: "QuerySet[Any, Any]", cursor: "_Cursor | None") -> "QuerySet[Any, Any]":
        is_backward = cursor is not None and cursor.is_backward
        is_descending = self.is_descending != is_backward
        if cursor is not None:
            queryset = queryset.filter(self._beyond(cursor, "lt" if is_descending else "gt"))
        sign = "-" if is_descending else ""
        if self.column == self.pk:
            return queryset.order_by(sign + self.pk)
        if not self.field.null:
            return queryset.order_by(sign + self.column, sign + self.pk)
        by, last = F(self.column), {"nulls_first": True} if is_backward else {"nulls_last": True}
        return queryset.order_by(by.desc(**last) if is_descending else by.asc(**last), sign + self.pk)

    def _beyond(self, cursor: "_Cursor", beyond: str) -> Q:
        after_pk = Q(**{f"{self.pk}__{beyond}": cursor.pk})
        if self.column == self.pk:
            return after_pk
        is_null = Q(**{f"{self.column}__isnull": True})
        if cursor.value is None:
            same = is_null & after_pk
            return same | ~is_null if cursor.is_backward else same
        found = Q(**{f"{self.column}__{beyond}": cursor.value}) | (Q(**{self.column: cursor.value}) & after_pk)
        return found | is_null if self.field.null and not cursor.is_backward else found

    def position(self, queryset: "QuerySet[Any, Any]", row: Any) -> tuple[Any, Any]:
        if isinstance(row, dict):
            return row[self.column], row[self.pk]
        if isinstance(row, tuple):
            names: tuple[str, ...] = queryset._fields  # type: ignore[attr-defined]  # as values_list() was asked
            return row[names.index(self.column)], row[names.index(self.pk)]
        return getattr(row, self.column), getattr(row, self.pk)


@dataclass(frozen=True)
class _Cursor:
    is_backward: bool
    value: Any
    pk: Any

    @classmethod
    def read(cls, query: QueryDict, order: _Order) -> "_Cursor | None":
        raw = query.get("cursor")
        if not raw:
            return None
        try:
            said, is_backward, value, pk = orjson.loads(base64.urlsafe_b64decode(raw + "=" * (-len(raw) % 4)))
            if pk is None or (value is None and not order.field.null):
                raise ValueError("a row always has these")
            if said == order.said:
                return cls(bool(is_backward), order.field.to_python(value), order.pk_field.to_python(pk))
        except (ValueError, TypeError, binascii.Error, ValidationError) as error:
            raise Invalid.field("cursor", "it must be one that a list answered") from error
        raise Invalid.field("cursor", f"it belongs to another ordering than {shown(order.said)}")

    def text(self, order: _Order) -> str:
        # Microseconds always: an instant shortened to milliseconds would repeat or skip rows.
        value = self.value.isoformat() if isinstance(self.value, datetime) else self.value
        packed = to_json([order.said, int(self.is_backward), value, self.pk])
        return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def _field(model: type[Model], column: str) -> "Field[Any, Any]":
    """The model field of `column`; a developer's mistake, not a client's, when there is none."""
    for field in model._meta.concrete_fields:
        if column in (field.name, field.attname):
            return field
    raise FieldDoesNotExist(f"{model.__name__} has no column {column} to order by")


def _url(
    request: HttpRequest | Request, order: _Order, queryset: "QuerySet[Any, Any]", row: Any, *, is_backward: bool
) -> str:
    value, pk = order.position(queryset, row)
    query = request.GET.copy()
    query["cursor"] = _Cursor(is_backward, value, pk).text(order)
    return request.build_absolute_uri(f"{request.path}?{query.urlencode()}")
