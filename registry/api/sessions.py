"""T13-T19: models and datasets by name. A name stands for its newest version (C18 of the API documents)."""

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, cast

from django.contrib.auth.models import User
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.viewsets import ViewSet

from mlserver.accounts.permissions import is_admin
from mlserver.api import uploads
from mlserver.api.downloads import download
from mlserver.api.negotiation import WhateverIsAccepted
from mlserver.api.rendering import OrjsonRenderer, json_response
from mlserver.api.schema import Refusal, text_parameter
from mlserver.errors import Invalid, NotFound
from registry.api.receiving import FileReceiver
from registry.api.session_json import dataset_rows, model_rows, render_dataset, render_model, size_mb
from registry.api.session_schemas import UPLOAD_FORM, UPLOAD_REFUSALS, DatasetAnswer, ModelAnswer, Uploaded
from registry.blobs import LONGEST_NAME, LONGEST_UPLOADED_NAME, NAME, Incoming, check_name, is_name, path_of
from registry.datasets.facts import Facts
from registry.inspection import inspect
from registry.models import ArtifactType, ArtifactVersion
from registry.publish import delete_versions, file_of, publish, refuse_taken
from training.api.session_schemas import Said

TAGS = ["training"]
NEWEST = "the newest version under this name"
# Trained ones are called `<architecture>_<dataset>`.
MODEL = text_parameter("model_name", NEWEST, pattern=NAME.pattern, at_most=LONGEST_NAME)
DATASET = text_parameter("dataset_name", NEWEST, pattern=NAME.pattern, at_most=LONGEST_UPLOADED_NAME)
NEW_NAME = "1-100 of A-Z a-z 0-9 . _ -, the first one a letter or digit; not taken"
NEW_MODEL, NEW_DATASET = (
    text_parameter(name, NEW_NAME, pattern=NAME.pattern, at_most=LONGEST_UPLOADED_NAME, location="query")
    for name in ("model_name", "dataset_name")
)
BYTES = OpenApiTypes.BINARY


class StoredSet(ViewSet):
    """What models and datasets have in common; `type` is theirs."""

    type: ClassVar[ArtifactType]
    renderer_classes = (OrjsonRenderer,)
    content_negotiation_class = WhateverIsAccepted

    def receive(self, request: Request, *, inspect: Callable[[Path, str], Facts] | None = None) -> HttpResponse:
        """Refuses by the headers alone what they tell; publishes the file, with what `inspect` finds in it.

        Raises Invalid, Conflict, TooLarge and BadRequest.
        """
        field = f"{self.type.value}_name"
        if not request.query_params.get(field):
            raise Invalid.field(field, "it is missing: say it in the query of the URL")
        name = check_name(request.query_params[field], field)
        refuse_taken(self.type, name)
        uploads.refuse_too_large(request._request)

        def done(incoming: Incoming, file_name: str, facts: Facts | None) -> HttpResponse:
            version = publish(incoming, type=self.type, name=name, owner=self.caller, file_name=file_name, facts=facts)
            said = f"{self.type.value} '{name}' is uploaded"
            return json_response({"message": said, "name": name, "size_mb": size_mb(version.size_bytes)})

        receiver = FileReceiver(request.content_type or "", done, inspect=inspect, user=self.caller.pk)
        return uploads.receive(request._request, receiver)

    def newest(self, name: str) -> ArtifactVersion:
        version = ArtifactVersion.objects.newest_of(self.type, name) if is_name(name) else None
        if version is None:
            raise self.unknown(name)
        return version

    def unknown(self, name: str) -> NotFound:
        return NotFound(f"{self.type.value} '{name}' does not exist")

    @property
    def caller(self) -> User:
        return cast(User, self.request.user)


class ModelSet(StoredSet):
    """Weights, whatever their format. Deleting them takes the owner of all versions or an administrator."""

    type = ArtifactType.MODEL
    conflicting_actions = ("create", "destroy")

    @extend_schema(
        tags=TAGS,
        operation_id="models_list",
        summary="List models",
        description="The newest version of each name, the newest first.",
        responses=ModelAnswer(many=True),
    )
    def list(self, request: Request) -> HttpResponse:
        """T13."""
        return json_response([render_model(row) for row in model_rows()])

    @extend_schema(
        tags=TAGS,
        operation_id="models_download",
        summary="Download a model",
        description="The bytes that were uploaded or trained. Takes one `Range`, `If-Range` and `If-None-Match` with "
        "the ETag, which names the content.",
        parameters=[
            MODEL,
            OpenApiParameter(
                "Range", str, "header", description="`bytes=first-last`, `bytes=first-` or `bytes=-count`"
            ),
        ],
        responses={
            (200, "application/octet-stream"): BYTES,
            (206, "application/octet-stream"): OpenApiResponse(BYTES, description="the range that was asked for"),
            304: OpenApiResponse(description="the client has this content"),
            416: OpenApiResponse(Refusal, description="the range begins behind the end"),
        },
    )
    def retrieve(self, request: Request, model_name: str) -> HttpResponseBase:
        """T14."""
        file = file_of(self.newest(model_name))
        try:
            return download(
                request._request, path_of(file.blob_id), digest=file.blob_id, file_name=file.link_name or file.path
            )
        except FileNotFoundError:
            raise NotFound(f"the content of model '{model_name}' is missing in the server's store") from None

    @extend_schema(
        tags=TAGS,
        operation_id="models_upload",
        summary="Upload a model",
        description="As part `file` of a form. It is there when it is whole, as it was sent; it is never unpickled.",
        parameters=[NEW_MODEL],
        request=UPLOAD_FORM,
        responses={200: Uploaded, **UPLOAD_REFUSALS},
    )
    def create(self, request: Request) -> HttpResponse:
        """T15."""
        return self.receive(request)

    @extend_schema(
        tags=TAGS,
        operation_id="models_delete",
        summary="Delete a model",
        description="All its versions; the name can be given again. 403 when one of them is another user's, 409 "
        "while a running session trains it.",
        parameters=[MODEL],
        responses={200: Said},
    )
    def destroy(self, request: Request, model_name: str) -> HttpResponse:
        """T16."""
        artifact = self.newest(model_name).artifact
        if not delete_versions(artifact, by=None if is_admin(request) else self.caller):
            raise self.unknown(model_name)
        return json_response({"message": f"model '{model_name}' is deleted"})


class DatasetSet(StoredSet):
    """Data to train on. In this API datasets are neither deleted nor downloaded."""

    type = ArtifactType.DATASET
    conflicting_actions = ("create",)

    @extend_schema(
        tags=TAGS,
        operation_id="datasets_list",
        summary="List datasets",
        description="Uploaded ones and those that came with the server, the newest first.",
        responses=DatasetAnswer(many=True),
    )
    def list(self, request: Request) -> HttpResponse:
        """T17."""
        return json_response([render_dataset(row) for row in dataset_rows()])

    @extend_schema(
        tags=TAGS,
        operation_id="datasets_read",
        summary="Read the facts of a dataset",
        description="What was found in its data, not the data.",
        parameters=[DATASET],
        responses=DatasetAnswer,
    )
    def retrieve(self, request: Request, dataset_name: str) -> HttpResponse:
        """T18."""
        rows = dataset_rows().filter(artifact__name=dataset_name) if is_name(dataset_name) else ()
        for row in rows:
            return json_response(render_dataset(row))
        raise self.unknown(dataset_name)

    @extend_schema(
        tags=TAGS,
        operation_id="datasets_upload",
        summary="Upload a dataset",
        description="As part `file` of a form: .csv, .npy, .npz, or images, csv or numpy in .tar, .tar.gz, .tgz or "
        ".zip; its file name says which. Format, size and labels are read from the data; nothing is unpickled.",
        parameters=[NEW_DATASET],
        request=UPLOAD_FORM,
        responses={200: Uploaded, **UPLOAD_REFUSALS},
    )
    def create(self, request: Request) -> HttpResponse:
        """T19."""
        return self.receive(request, inspect=inspect)
