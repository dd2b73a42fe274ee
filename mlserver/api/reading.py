"""Lists and details read as dictionaries: no model instance is made for a row that is only shown."""

from typing import Any, cast

from django.contrib.auth.models import User
from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from mlserver.api.paging import KeysetPage
from mlserver.errors import NotFound
from mlserver.prepared import Prepared

Row = dict[str, Any]


class ReadSet(GenericViewSet[Any]):
    """`list` and `retrieve` of `queryset`, which yields `.values()`; `render` turns a page of rows into the answer.

    `render` sees all rows of a page at once, so what belongs to them is read in one query each.
    """

    noun = ""
    filterset_class: Any = None
    pagination_class = KeysetPage
    ordering = "-id"
    ordering_fields: tuple[str, ...] = ("id",)
    by_key: Prepared[Any] | None = None
    """The row of `queryset` with a primary key, where one is asked for so often that it pays to compile it once."""

    def render(self, rows: list[Row]) -> list[Row]:
        raise NotImplementedError

    def list(self, request: Request) -> Response:
        rows = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(self.render(rows or []))

    def get_view_name(self) -> str:
        """The title of the browsable page: `Tasks`, or `Task` of a view that is made with `detail=True`."""
        title = self.noun[:1].upper() + self.noun[1:]
        if getattr(self, "detail", False):
            return title
        return title + ("es" if title.endswith("s") else "s")

    def retrieve(self, request: Request, pk: int | str) -> Response:
        return Response(self.read(pk))

    def filter_queryset(self, queryset: "QuerySet[Any, Any]") -> "QuerySet[Any, Any]":
        """A form is built and checked only for queries that filter: it costs a millisecond."""
        filters = getattr(self.filterset_class, "base_filters", {})
        if filters.keys().isdisjoint(self.request.query_params):
            return queryset
        return super().filter_queryset(queryset)

    @property
    def caller(self) -> User:
        """Permissions have let only users in."""
        return cast(User, self.request.user)

    @property
    def body(self) -> Row:
        """The parser takes nothing but objects."""
        return cast(Row, self.request.data)

    def read(self, pk: int | str) -> Row:
        """The rendered object; raises NotFound."""
        rows = list(self.get_queryset().filter(pk=pk)) if self.by_key is None else self.by_key.dicts(pk)
        for row in self.render(rows):
            return row
        raise NotFound(f"{self.noun} {pk} does not exist")
