"""R71: with what a run was made."""

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework import serializers as s
from rest_framework.request import Request

from mlserver.api.reading import Row
from mlserver.api.rendering import json_response
from mlserver.api.runicorn_view import RunicornView
from training.api.runicorn.lookup import find_run
from training.api.runicorn.schemas import RUN, TAGS, AnyObject
from training.models import RunEnvironment


class EnvironmentAnswer(s.Serializer[Row]):
    available = s.BooleanField(help_text="false: nothing was captured")
    environment = AnyObject(required=False, help_text="Python, packages, git, command, host and GPU, as captured")


class Environment(RunicornView):
    @extend_schema(
        tags=TAGS,
        operation_id="runicorn_environment",
        summary="Environment of a run",
        parameters=[RUN],
        responses=EnvironmentAnswer,
    )
    def get(self, request: Request, run_id: str) -> HttpResponse:
        run = find_run(run_id, "pk")
        facts = RunEnvironment.objects.filter(run=run).values_list("facts", flat=True).first()
        return json_response({"available": False} if facts is None else {"available": True, "environment": facts})
