"""F6-F8, F13-F17: tasks and the dispatch loop."""

from typing import cast

from django.contrib.auth.models import User
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from mlserver.accounts.permissions import require_owner
from mlserver.api.flowline_view import FlowlineView
from mlserver.api.idempotency import idempotent
from mlserver.api.reading import Row
from mlserver.api.rendering import json_response
from mlserver.errors import NotFound
from training import flowline
from training.api.flowline.schemas import (
    Done,
    FlowlineTask,
    LoopState,
    TaskCopied,
    TaskCopy,
    TaskCreated,
    TaskCreation,
    TaskList,
)
from training.api.flowline.task_json import render_task, render_tasks, task_rows
from training.models import DispatchLoop, Task
from training.queue.scheduler import schedule_and_launch

TAGS = ["flowline"]


class TaskListView(FlowlineView):
    @extend_schema(tags=TAGS, operation_id="flowline_tasks", summary="List tasks", responses=TaskList)
    def get(self, request: Request) -> HttpResponse:
        """F6: all tasks whatever their door, the oldest first."""
        return json_response({"tasks": render_tasks([*task_rows()])})


class TaskCreate(FlowlineView):
    @extend_schema(
        tags=TAGS, operation_id="flowline_task_create", summary="Add a task", request=TaskCreation,
        responses=TaskCreated,
    )  # fmt: skip
    @idempotent
    def post(self, request: Request) -> HttpResponse:
        """F7: queued `need_run_num` times; it starts as soon as a GPU is free, while the loop is on."""
        task = flowline.create(cast(Row, request.data), owner=cast(User, request.user))
        return json_response({"success": True, "task_id": task.pk})


class TaskCopyView(FlowlineView):
    @extend_schema(
        tags=TAGS, operation_id="flowline_task_copy", summary="Duplicate a task", request=TaskCopy, responses=TaskCopied
    )
    @idempotent
    def post(self, request: Request) -> HttpResponse:
        """F15: command, parameters and directory of another, and no run yet."""
        order = flowline.checked_copy(cast(Row, request.data))
        task = flowline.copy(find_task(order["original_task_id"]), order, owner=cast(User, request.user))
        return json_response({"success": True, "new_task_id": task.pk})


class TaskDetail(FlowlineView):
    conflicting_actions = ("delete",)

    @extend_schema(tags=TAGS, summary="Read one task", responses=FlowlineTask)
    def get(self, request: Request, task_id: int) -> HttpResponse:
        """F13, F16."""
        task = render_task(task_id)
        if task is None:
            raise NotFound("Task not found")
        return json_response(task)

    @extend_schema(tags=TAGS, summary="Remove a task", responses=Done)
    def delete(self, request: Request, task_id: int) -> HttpResponse:
        """F14, F17: it leaves the lists; its runs and logs stay. 409 while a process of it runs."""
        task = find_task(task_id)
        require_owner(request, task)
        flowline.delete(task)
        return json_response({"success": True})


class Loop(FlowlineView):
    @extend_schema(
        tags=TAGS, operation_id="flowline_run", summary="Turn the dispatch loop on or off", request=None,
        responses=LoopState,
    )  # fmt: skip
    def post(self, request: Request) -> HttpResponse:
        """F8: the new state. Off: what runs goes on, no task of this API is started."""
        is_on = DispatchLoop.toggle()
        if is_on:
            schedule_and_launch()
        return json_response({"if_run": is_on})


def find_task(task_id: int) -> Task:
    task = Task.objects.visible().filter(pk=task_id).first()
    if task is None:
        raise NotFound("Task not found")
    return task
