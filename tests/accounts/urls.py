"""A URL map of small views, one for each kind of door and declaration, behind the real middleware."""

from typing import Any

from django.db import DataError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import CharField, IntegerField, Serializer
from rest_framework.views import APIView

from mlserver.accounts.permissions import needs_scope, open_route, require_owner, scope_of
from mlserver.api.idempotency import idempotent
from mlserver.errors import Conflict, Invalid, ServerError, TooManyRequests, Unavailable
from mlserver.urls import handler400, handler403, handler404, handler500  # noqa: F401  named by Django
from tests.make import make_task
from training.models import Task


class WhoAmI(APIView):
    def get(self, request: Request) -> Response:
        return Response(
            {"user": request.user.username, "scope": scope_of(request), "address": request.META["REMOTE_ADDR"]}
        )

    def post(self, request: Request) -> Response:
        return Response({"user": request.user.username, "got": request.data})


class FlowlineWho(WhoAmI):
    door = "flowline"


class AdminOnly(WhoAmI):
    required_scope = "admin"


class OwnTask(APIView):
    def post(self, request: Request, pk: int) -> Response:
        require_owner(request, Task.objects.get(pk=pk))
        return Response({})


class Wanted(Serializer[Any]):
    name = CharField()
    count = IntegerField(max_value=3)


class Fails(APIView):
    """Raises what the path says, for every door's shape."""

    def get(self, request: Request, what: str) -> Response:
        raise ERRORS[what]

    def post(self, request: Request, what: str) -> Response:
        if what != "serializer":
            raise ERRORS[what]
        Wanted(data=request.data).is_valid(raise_exception=True)
        return Response({})


class MakesTask(APIView):
    @idempotent
    def post(self, request: Request) -> Response:
        if request.data.get("bad"):
            raise Invalid.field("bad", "it must be good")
        task = make_task(owner=request.user, name=request.data.get("name", ""))
        return Response({"id": task.pk}, status=201, headers={"Location": f"/made/{task.pk}"})


class MakesSecret(APIView):
    @idempotent(secret_fields=("key",))
    def post(self, request: Request) -> Response:
        return Response({"name": "x", "key": "secret"}, status=201)


ERRORS: dict[str, Exception] = {
    "conflict": Conflict("task 3 has ended"),
    "invalid": Invalid.fields({"lr": ["2 must be below 1"]}),
    "missing": Http404("No Task matches the given query."),
    "busy": OperationalError("database is locked"),
    "unmigrated": OperationalError("no such table: x"),
    "data": DataError("value too long"),
    "later": Unavailable("the node is away"),
    "limited": TooManyRequests("slow down", retry_after_s=7),
    "other": ServerError("odd"),
    "fault": ZeroDivisionError("secret detail"),
}


@open_route
def opened(request: HttpRequest) -> HttpResponse:
    return HttpResponse("open")


@needs_scope("submit")
def plain(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"user": request.user.username, "scope": scope_of(request)})


@needs_scope("read", login=True)
def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse("page")


def raises(request: HttpRequest, what: str) -> HttpResponse:
    raise ERRORS[what]


FAIL_PREFIXES = ("api/v1/x", "api/jobs", "api/remote", "api/task", "api/gpu/0", "api/runs", "x")

urlpatterns = [
    path("api/v1/who", WhoAmI.as_view()),
    path("api/task/who", FlowlineWho.as_view()),
    path("api/v1/admin-only", AdminOnly.as_view()),
    path("api/v1/own/<int:pk>", OwnTask.as_view()),
    path("api/v1/made", MakesTask.as_view()),
    path("api/v1/secrets", MakesSecret.as_view()),
    path("open", opened),
    path("api/plain", plain),
    path("page", page),
    path("api/raises/<str:what>", raises),
    path("raises/<str:what>", raises),
    *[path(f"{prefix}/fail/<str:what>", Fails.as_view()) for prefix in FAIL_PREFIXES],
]
