"""R48, R62, R70, R75, R76: runs as experiments: listed, found, tagged and looked after."""

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers as s
from rest_framework.request import Request

from mlserver.accounts.permissions import require_owner
from mlserver.api.parsing import query_flag
from mlserver.api.rendering import json_response
from mlserver.api.runicorn_view import RunicornView
from training.api.runicorn.bodies import body_of, flag, words
from training.api.runicorn.lookup import find_run
from training.api.runicorn.queries import limit, statuses, word
from training.api.runicorn.queries import tags as asked_tags
from training.api.runicorn.run_json import list_details
from training.api.runicorn.schemas import RUN, TAGS, Described, RunDetail, RunIdField
from training.execution.liveness import check_outside_runs
from training.models import Run
from training.records import tag_run

MOST_TAGS = 100


class Experiments(s.Serializer[Described]):
    experiments = RunDetail(many=True)
    total = s.IntegerField(help_text="without `limit` and `offset`")


class FoundExperiments(s.Serializer[Described]):
    experiments = RunDetail(many=True)


class Progress(s.Serializer[Described]):
    available = s.BooleanField()
    status = s.CharField()


class Checked(s.Serializer[Described]):
    checked = s.IntegerField(help_text="running runs that were looked at")
    updated = s.IntegerField(help_text="of them, those that have ended without a word")
    message = s.CharField(help_text="for people")


class Tagging(s.Serializer[Described]):
    run_id = RunIdField()
    tags = s.ListField(child=s.CharField(), max_length=MOST_TAGS)
    append = s.BooleanField(default=True, help_text="false: instead of the tags it has")


class Tagged(s.Serializer[Described]):
    success = s.BooleanField()


class ExperimentList(RunicornView):
    @extend_schema(
        tags=TAGS,
        operation_id="runicorn_experiments",
        summary="List runs as the Python client does",
        description="The newest first, all of them without a limit.",
        parameters=[
            OpenApiParameter("project", str),
            OpenApiParameter("name", str),
            OpenApiParameter("status", str, description="one or several, separated by commas"),
            OpenApiParameter("limit", {"type": "integer", "minimum": 1}),
            OpenApiParameter("offset", {"type": "integer", "minimum": 0}),
        ],
        responses=Experiments,
    )
    def get(self, request: Request) -> HttpResponse:
        """R48."""
        query = request.query_params
        runs = Run.objects.visible().newest_first()
        if project := word(query, "project"):
            runs = runs.filter(project=project)
        if name := word(query, "name"):
            runs = runs.named(name)
        if wanted := statuses(query):
            runs = runs.filter(status__in=wanted)
        size, skipped = limit(query, "limit", at_least=1), limit(query, "offset", at_least=0) or 0
        page = runs[skipped : None if size is None else skipped + size]
        is_whole = size is None and not skipped
        found = list_details(page)
        return json_response({"experiments": found, "total": len(found) if is_whole else runs.count()})


class ExperimentSearch(RunicornView):
    @extend_schema(
        tags=TAGS,
        operation_id="runicorn_experiments_search",
        summary="Find runs by tag or text",
        description="All that is asked for must hold. The newest first.",
        parameters=[
            OpenApiParameter("project", str),
            OpenApiParameter("tags", str, description="separated by commas; a run must have all of them"),
            OpenApiParameter("text", str, description="part of project, name, notes or id, in any case"),
            OpenApiParameter("archived", bool, description="look into the recycle bin instead"),
        ],
        responses=FoundExperiments,
    )
    def get(self, request: Request) -> HttpResponse:
        """R76."""
        query = request.query_params
        runs = Run.objects.deleted() if query_flag(query, "archived") else Run.objects.visible()
        if project := word(query, "project"):
            runs = runs.filter(project=project)
        for tag in asked_tags(query):
            runs = runs.tagged(tag)
        if text := word(query, "text"):
            runs = runs.mentioning(text)
        return json_response({"experiments": list_details(runs.newest_first())})


class ExperimentTags(RunicornView):
    @extend_schema(
        tags=TAGS,
        operation_id="runicorn_experiments_tag",
        summary="Tag a run",
        description="403 for somebody else's.",
        request=Tagging,
        responses={200: Tagged},
    )
    def post(self, request: Request) -> HttpResponse:
        """R75."""
        tags = words(body_of(request), "tags", at_least=0, at_most=MOST_TAGS)
        is_added = flag(body_of(request), "append", default=True)
        run = find_run(str(body_of(request).get("run_id", "")))
        require_owner(request, run)
        tag_run(run, tags, is_added=is_added)
        return json_response({"success": True})


class RunProgress(RunicornView):
    @extend_schema(
        tags=TAGS,
        operation_id="runicorn_run_progress",
        summary="Nothing: progress is in metrics and logs",
        deprecated=True,
        parameters=[RUN],
        responses=Progress,
    )
    def get(self, request: Request, run_id: str) -> HttpResponse:
        """R62."""
        find_run(run_id, "pk")
        return json_response({"available": False, "status": "unknown"})


class StatusCheck(RunicornView):
    @extend_schema(
        tags=TAGS,
        operation_id="runicorn_status_check",
        summary="Look whether running runs are still there",
        description="Of runs outside the queue, whose processes nobody watches. It is done every 30 s as well.",
        request=None,
        responses={200: Checked},
    )
    def post(self, request: Request) -> HttpResponse:
        """R70."""
        checked, updated = check_outside_runs()
        said = f"{checked} running runs looked at, {updated} of them have ended"
        return json_response({"checked": checked, "updated": updated, "message": said})
