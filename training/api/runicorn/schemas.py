"""Serializers that describe bodies and answers about runs; rows are rendered from tuples."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers as s

from mlserver.api.schema import text_parameter
from training.api.runicorn.statuses import WORDS
from training.models.run import RUN_ID

Described = dict[str, object]
TAGS = ["runicorn"]
RUN = text_parameter("run_id", "of a run that is not deleted", pattern=RUN_ID.pattern)


@extend_schema_field({"type": "object", "additionalProperties": True})
class AnyObject(s.JSONField):
    """Whatever a script said."""


class RunIdField(s.RegexField):
    def __init__(self, **options: Any) -> None:
        super().__init__(f"^{RUN_ID.pattern}$", **options)


class RunItem(s.Serializer[Described]):
    """Times are seconds since 1970."""

    id = RunIdField()
    run_dir = s.CharField(help_text="absolute directory")
    created_time = s.FloatField()
    status = s.ChoiceField(WORDS)
    pid = s.IntegerField(allow_null=True, help_text="its process, of several that of rank 0")
    best_metric_value = s.FloatField(allow_null=True, help_text="of its primary metric")
    best_metric_name = s.CharField(allow_null=True)
    project = s.CharField()
    name = s.CharField(help_text="`default` for a run without one")
    artifacts_created_count = s.IntegerField()
    artifacts_used_count = s.IntegerField()


class RunWithDetails(RunItem):
    logs = s.CharField(help_text="absolute path of its log")
    metrics = s.CharField(help_text="absolute path of its records")
    metrics_step = s.CharField(help_text="the same as `metrics`")
    created_at = s.FloatField(help_text="the same as `created_time`")
    updated_at = s.FloatField()
    ended_at = s.FloatField(allow_null=True)
    tags = s.ListField(child=s.CharField())


class RunDetail(RunWithDetails):
    summary = AnyObject(help_text="what its script says of it as a whole")


class Point(s.Serializer[Described]):
    step = s.IntegerField()
    value = s.FloatField()
    timestamp = s.FloatField(allow_null=True, help_text="seconds since 1970; null: logged without a time")


class RunExport(RunDetail):
    run_id = s.CharField(help_text="the same as `id`")
    metrics = s.DictField(child=Point(many=True))  # type: ignore[assignment]  # where others have a path


class ExperimentItem(RunWithDetails):
    deleted_at = s.FloatField(allow_null=True, help_text="when it was moved to the recycle bin")
