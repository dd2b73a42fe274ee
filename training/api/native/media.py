"""N10: the pictures of a run."""

from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers as s
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from mlserver.accounts.permissions import require_owner
from mlserver.api import uploads
from mlserver.api.downloads import download_open
from mlserver.api.negotiation import WhateverIsAccepted
from mlserver.api.reading import ReadSet, Row
from mlserver.api.rendering import OrjsonRenderer
from mlserver.api.schema import Refusal
from mlserver.errors import NotFound, shown
from training import paths
from training.api.native.filters import MediaFilters
from training.api.native.lookup import told_run, visible_run
from training.api.native.media_delivery import FORM, PictureReceiver
from training.api.native.media_json import COLUMNS, render_media, type_of
from training.models import Run, RunMedia
from training.tracking.job_files import opened_in_run


class MediumAnswer(s.Serializer[dict[str, object]]):
    name = s.CharField(help_text="of the file")
    key = s.CharField(help_text="what the script calls the picture")
    step = s.IntegerField(allow_null=True)
    caption = s.CharField()
    logged_at = s.DateTimeField()
    type = s.CharField(allow_null=True, help_text="by its content, for example image/png; null: it is no picture")
    size_bytes = s.IntegerField(allow_null=True, help_text="null: the file is gone")
    url = s.CharField(help_text="path of the file on this server")


class MediaSet(ReadSet):
    """Pictures that a run logged, with `log_image` of the SDK."""

    noun = "picture"
    run: Run | None = None
    queryset = RunMedia.objects.none()
    serializer_class = MediumAnswer
    filterset_class = MediaFilters
    conflicting_actions = ("create",)
    ordering = "-logged_at"
    ordering_fields = ("logged_at", "step", "key", "name")
    content_negotiation_class = WhateverIsAccepted
    renderer_classes = (OrjsonRenderer,)

    def get_queryset(self) -> "QuerySet[RunMedia, Row]":
        rows: QuerySet[RunMedia, Row] = RunMedia.objects.filter(run=self.run).values("id", *COLUMNS)
        return rows

    def render(self, rows: list[Row]) -> list[Row]:
        assert self.run is not None
        return render_media(self.run, [{column: row[column] for column in COLUMNS} for row in rows])

    @extend_schema(
        tags=["runs"],
        operation_id="runs_media_deliver",
        summary="Deliver a picture of a run",
        description="For the SDK, of runs outside the queue: a form with the part `file`, PNG, JPEG, WebP, GIF or BMP "
        "by its content. The same picture under the same name again is answered 200 and changes nothing. 409: there "
        "is another one of that name, or the run is executed by the server, which finds its pictures itself.",
        request=FORM,
        responses={
            200: MediumAnswer,
            201: MediumAnswer,
            413: OpenApiResponse(Refusal, description="it is larger than MLSERVER_MAX_MEDIA_MIB"),
            500: OpenApiResponse(Refusal, description="the disk is full; nothing was kept"),
        },
    )
    def create(self, request: Request, pk: str) -> HttpResponse:
        run = told_run(pk)
        require_owner(request, run)
        uploads.refuse_too_large(request._request, settings.MAX_MEDIA_BYTES)
        return uploads.receive(request._request, PictureReceiver(run, request.content_type or ""))

    @extend_schema(
        tags=["runs"],
        operation_id="runs_media",
        summary="List the pictures of a run",
        description="The newest first.",
    )
    def list(self, request: Request, pk: str = "") -> Response:
        self.run = visible_run(pk)
        return super().list(request)


class Medium(APIView):
    content_negotiation_class = WhateverIsAccepted
    renderer_classes = (OrjsonRenderer,)

    @extend_schema(
        tags=["runs"],
        operation_id="runs_medium",
        summary="Download a picture of a run",
        description="As an attachment, with its type by its content. Takes one `Range`, and `If-None-Match`.",
        parameters=[OpenApiParameter("Range", str, "header", description="`bytes=first-last`")],
        responses={
            (200, "image/*"): OpenApiTypes.BINARY,
            (206, "image/*"): OpenApiResponse(OpenApiTypes.BINARY, description="the range that was asked for"),
            304: OpenApiResponse(description="the client has it"),
            416: OpenApiResponse(Refusal, description="the range begins behind the end"),
        },
    )
    def get(self, request: Request, pk: str, name: str) -> HttpResponseBase:
        run = visible_run(pk)
        if not RunMedia.objects.filter(run=run, name=name).exists():
            raise NotFound(f"run {pk} has no picture {shown(name)}")
        with opened_in_run(run, f"{paths.MEDIA_NAME}/{name}") as file:
            if file is None:
                raise NotFound(f"the file of picture {shown(name)} of run {pk} is gone")
            facts, kind = file.facts, type_of(file) or "application/octet-stream"
            digest = f"{facts.st_ino:x}-{facts.st_size:x}-{facts.st_mtime_ns:x}"
            return download_open(request._request, file.detached(), digest=digest, file_name=name, content_type=kind)
