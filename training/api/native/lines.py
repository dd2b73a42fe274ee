"""Pools, queues and limits of users: everybody reads them, administrators change them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import django_filters as filters
from django.db.models import Model
from django.urls import reverse
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import serializers as s
from rest_framework.request import Request
from rest_framework.response import Response

from gpus.models import Gpu, Pool
from mlserver.accounts.scopes import Scope
from mlserver.api.filtering import Filters
from mlserver.api.idempotency import idempotent
from mlserver.api.reading import ReadSet, Row
from mlserver.errors import NotFound
from training.models import Queue, UserLimits
from training.queue import pools, queues
from training.queue.limits import Used, used_now

DELETED = {204: OpenApiResponse(description="it is gone")}


class PoolChange(s.Serializer[Row]):
    description = s.CharField(max_length=10_000, allow_blank=True, default="")
    nodes = s.ListField(child=s.CharField(), default=list, help_text="names of nodes, each with all its GPUs")
    gpus = s.ListField(child=s.IntegerField(), default=list, help_text="ids of single GPUs")


class PoolMaking(PoolChange):
    name = s.CharField(max_length=64)


class PoolGpu(s.Serializer[Row]):
    id = s.IntegerField()
    node = s.CharField()
    index = s.IntegerField()
    uuid = s.CharField()


class PoolAnswer(s.Serializer[Row]):
    """A task that names the pool runs on its nodes and GPUs only. `default` holds everything, whatever is listed."""

    id = s.IntegerField()
    name = s.CharField()
    description = s.CharField()
    nodes = s.ListField(child=s.CharField())
    gpus = PoolGpu(many=True)
    created_at = s.DateTimeField()


class Limits(s.Serializer[Row]):
    max_gpus = s.IntegerField(min_value=0, allow_null=True, default=None, help_text="GPUs held at once; null: no limit")
    max_running = s.IntegerField(min_value=0, allow_null=True, default=None, help_text="runs at once; null: no limit")


class QueueChange(Limits):
    description = s.CharField(max_length=10_000, allow_blank=True, default="")
    priority = s.IntegerField(min_value=-100, max_value=100, default=0, help_text="added to that of its tasks")


class QueueMaking(QueueChange):
    name = s.CharField(max_length=64)


class QueueAnswer(QueueMaking):
    id = s.IntegerField()
    running = s.IntegerField(help_text="its runs under way")
    gpus_used = s.IntegerField(help_text="GPUs they hold")
    created_at = s.DateTimeField()


class UserLimitsMaking(Limits):
    user = s.CharField(help_text="user name")


class UserLimitsAnswer(UserLimitsMaking):
    id = s.IntegerField()
    running = s.IntegerField(help_text="runs of the user under way")
    gpus_used = s.IntegerField(help_text="GPUs they hold")


class ByName(Filters):
    name = filters.CharFilter()


class ByUser(Filters):
    user = filters.CharFilter("user__username", label="user name")


@dataclass(frozen=True)
class Service:
    """What writes rows: the views only parse and render."""

    make: Callable[[Row], Model]
    change: Callable[[Any, Row], object]
    drop: Callable[[Any], None]


class LineSet(ReadSet):
    """What administrators set up by `service`; everybody reads."""

    ordering = "id"
    required_scope = Scope.ADMIN.value
    conflicting_actions: tuple[str, ...] = ("create", "partial_update", "destroy")
    route = ""
    service: Service

    def _create(self) -> Response:
        made = self.service.make(self.body)
        return Response(self.read(made.pk), status=201, headers={"Location": reverse(self.route, args=[made.pk])})

    def _change(self, pk: int) -> Response:
        self.service.change(self._row(pk), self.body)
        return Response(self.read(pk))

    def _delete(self, pk: int) -> Response:
        self.service.drop(self._row(pk))
        return Response(status=204)

    def _row(self, pk: int) -> Any:
        row = self.get_queryset().filter(pk=pk).first()
        if row is None:
            raise NotFound(f"{self.noun} {pk} does not exist")
        return row


@extend_schema_view(
    list=extend_schema(tags=["pools"], summary="All pools", description="With their nodes and GPUs."),
    retrieve=extend_schema(tags=["pools"], summary="One pool", description="With its nodes and GPUs."),
)
class PoolSet(LineSet):
    """Groups of nodes and GPUs that tasks may be kept to."""

    noun, route = "pool", "pool"
    queryset = Pool.objects.prefetch_related("nodes", "gpus__node")
    serializer_class = PoolAnswer
    filterset_class = ByName
    ordering_fields = ("id", "name")
    service = Service(pools.make_pool, pools.change_pool, pools.delete_pool)

    def render(self, rows: list[Any]) -> list[Row]:
        return [pool_row(pool) for pool in rows]

    @extend_schema(tags=["pools"], summary="Make a pool", request=PoolMaking, responses={201: PoolAnswer})
    @idempotent
    def create(self, request: Request) -> Response:
        """Needs scope admin. 409 when there is one of this name."""
        return self._create()

    @extend_schema(tags=["pools"], summary="Change a pool", request=PoolChange, responses=PoolAnswer)
    def partial_update(self, request: Request, pk: int) -> Response:
        """Needs scope admin. What runs goes on; 409 for nodes and GPUs of `default`."""
        return self._change(pk)

    @extend_schema(tags=["pools"], summary="Delete a pool", responses=DELETED)
    def destroy(self, request: Request, pk: int) -> Response:
        """Needs scope admin. 409 while anything that has not ended names it, and for `default`."""
        return self._delete(pk)


@extend_schema_view(
    list=extend_schema(tags=["queues"], summary="All queues", description="With what their runs hold now."),
    retrieve=extend_schema(tags=["queues"], summary="One queue", description="With what its runs hold now."),
)
class QueueSet(LineSet):
    """Lines that tasks wait in, with limits on what runs at once."""

    noun, route = "queue", "queue"
    queryset = Queue.objects.all()
    serializer_class = QueueAnswer
    filterset_class = ByName
    ordering_fields = ("id", "name", "priority")
    service = Service(queues.make_queue, queues.change_queue, queues.delete_queue)

    def render(self, rows: list[Any]) -> list[Row]:
        used = used_now().of_queues
        return [queue_row(queue, used[queue.name]) for queue in rows]

    @extend_schema(tags=["queues"], summary="Make a queue", request=QueueMaking, responses={201: QueueAnswer})
    @idempotent
    def create(self, request: Request) -> Response:
        """Needs scope admin. 409 when there is one of this name."""
        return self._create()

    @extend_schema(tags=["queues"], summary="Change a queue", request=QueueChange, responses=QueueAnswer)
    def partial_update(self, request: Request, pk: int) -> Response:
        """Needs scope admin. What runs goes on; a new priority moves the tasks that wait."""
        return self._change(pk)

    @extend_schema(tags=["queues"], summary="Delete a queue", responses=DELETED)
    def destroy(self, request: Request, pk: int) -> Response:
        """Needs scope admin. 409 while anything that has not ended names it, and for `default`."""
        return self._delete(pk)


@extend_schema_view(
    list=extend_schema(tags=["queues"], summary="All limits of users", description="Users not listed have none."),
    retrieve=extend_schema(tags=["queues"], summary="Limits of one user", description="With what the user holds now."),
)
class UserLimitsSet(LineSet):
    """How much of the machines one user may hold at once, in all queues together."""

    noun, route = "limits of a user", "user-limit"
    queryset = UserLimits.objects.select_related("user")
    serializer_class = UserLimitsAnswer
    filterset_class = ByUser
    conflicting_actions = ("create",)
    service = Service(queues.make_limits, queues.change_limits, queues.delete_limits)

    def render(self, rows: list[Any]) -> list[Row]:
        used = used_now().of_users
        return [limits_row(limits, used[limits.user_id]) for limits in rows]

    def get_view_name(self) -> str:
        return "Limits of a user" if getattr(self, "detail", False) else "Limits of users"

    @extend_schema(tags=["queues"], summary="Limit a user", request=UserLimitsMaking, responses={201: UserLimitsAnswer})
    @idempotent
    def create(self, request: Request) -> Response:
        """Needs scope admin. 409 when the user has limits."""
        return self._create()

    @extend_schema(tags=["queues"], summary="Change limits of a user", request=Limits, responses=UserLimitsAnswer)
    def partial_update(self, request: Request, pk: int) -> Response:
        """Needs scope admin. What runs goes on, also what is beyond a new limit."""
        return self._change(pk)

    @extend_schema(tags=["queues"], summary="Remove limits of a user", responses=DELETED)
    def destroy(self, request: Request, pk: int) -> Response:
        """Needs scope admin."""
        return self._delete(pk)


def pool_row(pool: Pool) -> Row:
    """`pool` with its members."""
    return {
        "id": pool.pk,
        "name": pool.name,
        "description": pool.description,
        "nodes": sorted(node.name for node in pool.nodes.all()),
        "gpus": [gpu_row(gpu) for gpu in pool.gpus.all()],
        "created_at": pool.created_at,
    }


def gpu_row(gpu: Gpu) -> Row:
    return {"id": gpu.pk, "node": gpu.node.name, "index": gpu.index, "uuid": gpu.uuid}


def queue_row(queue: Queue, used: Used) -> Row:
    return {
        **{name: getattr(queue, name) for name in ("id", "name", "description", "priority", "max_gpus", "max_running")},
        "running": used.running,
        "gpus_used": used.gpus,
        "created_at": queue.created_at,
    }


def limits_row(limits: UserLimits, used: Used) -> Row:
    return {
        "id": limits.pk,
        "user": limits.user.get_username(),
        "max_gpus": limits.max_gpus,
        "max_running": limits.max_running,
        "running": used.running,
        "gpus_used": used.gpus,
    }
