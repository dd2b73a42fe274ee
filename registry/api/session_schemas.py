"""Serializers that describe bodies and answers of T13-T19; rows are rendered from .values()."""

from typing import Any

from drf_spectacular.utils import OpenApiResponse
from rest_framework import serializers as s

from mlserver.api.schema import Refusal
from registry.models import DatasetFormat

UPLOAD_FORM: dict[str, Any] = {
    "multipart/form-data": {
        "type": "object",
        "properties": {"file": {"type": "string", "format": "binary", "description": "with its file name"}},
        "required": ["file"],
    }
}
UPLOAD_REFUSALS: dict[Any, Any] = {
    400: OpenApiResponse(Refusal, description="the upload is unreadable; `detail` says where"),
    408: OpenApiResponse(Refusal, description="nothing of the body came for 60 s"),
    409: OpenApiResponse(Refusal, description="the name is taken"),
    413: OpenApiResponse(Refusal, description="the file is larger than MAX_UPLOAD_MB"),
    422: OpenApiResponse(Refusal, description="the name is missing or impossible, or the form has no one part `file`"),
    500: OpenApiResponse(Refusal, description="the disk is full; nothing was kept"),
}


class ModelAnswer(s.Serializer[dict[str, object]]):
    name = s.CharField()
    size_mb = s.FloatField(help_text="bytes / 1024²")
    created_at = s.DateTimeField()
    file_path = s.CharField(help_text="relative, `models/<name>_<time>` and the suffix of the file")


class DatasetAnswer(s.Serializer[dict[str, object]]):
    name = s.CharField()
    size_mb = s.FloatField(help_text="bytes / 1024², as it was uploaded")
    sample_count = s.IntegerField(min_value=0)
    format = s.ChoiceField(DatasetFormat.choices)
    dimensions = s.CharField(
        allow_null=True, help_text="HxWxC of the first image, number of columns, or the shape of the array"
    )
    created_at = s.DateTimeField()
    file_path = s.CharField(help_text="relative, `datasets/<name>_<time>` and the suffix of the file")


class Uploaded(s.Serializer[dict[str, object]]):
    message = s.CharField(help_text="for people")
    name = s.CharField()
    size_mb = s.FloatField(help_text="bytes / 1024²")
