"""R40-R42: projects, the names in one, the runs of a name."""

from django.db.models import Count, Max
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework import serializers as s
from rest_framework.request import Request

from mlserver.api.rendering import json_response
from mlserver.api.runicorn_view import RunicornView
from mlserver.api.schema import text_parameter
from mlserver.errors import BadRequest, shown
from mlserver.instants import EpochSeconds
from mlserver.prepared import Prepared
from mlserver.text import is_storable
from training.api.runicorn.run_json import UNNAMED, list_runs
from training.api.runicorn.schemas import TAGS, Described, RunItem
from training.models import Run

NAME_LENGTH = 100
NAME_PATTERN = r"[^/\\]{1,100}"
PROJECT = text_parameter("project", "without `/`, `\\` and `..`", pattern=NAME_PATTERN)
NAME = text_parameter("name", "without `/`, `\\` and `..`", pattern=NAME_PATTERN)


PROJECTS = Prepared(
    lambda: (
        Run.objects.visible()
        .order_by("project")
        .values_list("project")
        .annotate(count=Count("pk"), latest=EpochSeconds(Max("updated_at")))
    )
)


class ProjectItem(s.Serializer[Described]):
    name = s.CharField()
    experiment_count = s.IntegerField(help_text="runs")
    latest_update = s.FloatField(help_text="of any of them, in seconds since 1970")


class Projects(s.Serializer[Described]):
    projects = s.ListField(child=s.CharField(), help_text="names, sorted")
    items = ProjectItem(many=True)


class Names(s.Serializer[Described]):
    names = s.ListField(child=s.CharField(), help_text="sorted")


class ProjectList(RunicornView):
    @extend_schema(
        tags=TAGS, operation_id="runicorn_projects", summary="List projects", responses=Projects,
    )  # fmt: skip
    def get(self, request: Request) -> HttpResponse:
        """R40."""
        items = [
            {"name": name, "experiment_count": count, "latest_update": latest}
            for name, count, latest in PROJECTS.rows()
        ]
        items.sort(key=lambda item: item["name"])  # databases disagree about letters beyond ASCII
        return json_response({"projects": [item["name"] for item in items], "items": items})


class NameList(RunicornView):
    @extend_schema(
        tags=TAGS,
        operation_id="runicorn_project_names",
        summary="List the names of runs in a project",
        description="None for a project that nobody knows.",
        parameters=[PROJECT],
        responses=Names,
    )
    def get(self, request: Request, project: str) -> HttpResponse:
        """R41."""
        runs = Run.objects.visible().filter(project=checked_name("project", project)).order_by("name")
        names = {name or UNNAMED for name in runs.values_list("name", flat=True).distinct()}
        return json_response({"names": sorted(names)})


class NamedRuns(RunicornView):
    @extend_schema(
        tags=TAGS,
        operation_id="runicorn_project_name_runs",
        summary="List the runs of a name",
        description="The newest first; none for a name that nobody knows.",
        parameters=[PROJECT, NAME],
        responses=RunItem(many=True),
    )
    def get(self, request: Request, project: str, name: str) -> HttpResponse:
        """R42."""
        project, name = checked_name("project", project), checked_name("name", name)
        return json_response(list_runs(Run.objects.visible().filter(project=project).named(name).newest_first()))


def checked_name(what: str, name: str) -> str:
    if 1 <= len(name) <= NAME_LENGTH and not any(it in name for it in ("..", "/", "\\")) and is_storable(name):
        return name
    raise BadRequest(f"{what}: {shown(name)} is not a name: 1-{NAME_LENGTH} characters without '..', '/' and '\\'")
