"""R3-R6, R21, R77: delete runs, bring them back, erase them."""

from typing import cast

from django.contrib.auth.models import User
from django.db.models import F
from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers as s
from rest_framework.request import Request

from mlserver.accounts.permissions import is_admin
from mlserver.api.parsing import query_flag
from mlserver.api.reading import Row
from mlserver.api.rendering import json_response
from mlserver.api.runicorn_view import RunicornView
from mlserver.instants import EpochSeconds
from training import recycle_bin
from training.api.runicorn.bodies import body_of, flag, require_confirmed, run_ids, text, words
from training.api.runicorn.run_json import columns_of, render_rows
from training.api.runicorn.schemas import TAGS, Described, RunIdField
from training.api.runicorn.statuses import WORDS
from training.models import Run
from training.recycle_bin import Outcomes

AT_ONCE, BATCH = 100, 1000
REASON_LENGTH = 64
OWN_ONLY = "Of somebody else's runs nothing is changed, unless the caller is an administrator."


class RunIds(s.Serializer[Described]):
    run_ids = s.ListField(child=RunIdField(), min_length=1, max_length=AT_ONCE)


class Outcome(s.Serializer[Described]):
    success = s.BooleanField()
    error = s.CharField(required=False, help_text="why not")


class Deleted(s.Serializer[Described]):
    deleted_count = s.IntegerField()
    results = s.DictField(child=Outcome(), help_text="by run id")
    message = s.CharField(help_text="for people")


class Restored(s.Serializer[Described]):
    restored_count = s.IntegerField()
    results = s.DictField(child=Outcome(), help_text="by run id")
    message = s.CharField(help_text="for people")


class DeletedRun(s.Serializer[Described]):
    id = RunIdField()
    project = s.CharField()
    name = s.CharField()
    created_time = s.FloatField()
    deleted_at = s.FloatField()
    delete_reason = s.CharField(help_text="`unknown` when it was lost")
    original_status = s.ChoiceField(WORDS, help_text="what it shows when it is restored")
    run_dir = s.CharField()


class DeletedRuns(s.Serializer[Described]):
    deleted_runs = DeletedRun(many=True)


class Confirmation(s.Serializer[Described]):
    confirm = s.BooleanField(help_text="true")


class Emptied(s.Serializer[Described]):
    permanently_deleted = s.IntegerField()
    message = s.CharField(help_text="for people")


class Batch(s.Serializer[Described]):
    exp_ids = s.ListField(child=s.CharField(), min_length=1, max_length=BATCH)
    reason = s.CharField(max_length=REASON_LENGTH, default="user_batch_delete")


class BatchDeleted(s.Serializer[Described]):
    deleted = s.IntegerField()
    failed = s.IntegerField()
    results = s.DictField(child=s.BooleanField(), help_text="by id: is it in the recycle bin because of this call")
    deleted_count = s.IntegerField(help_text="the same as `deleted`")
    message = s.CharField(help_text="for people")


class Removal(s.Serializer[Described]):
    run_ids = s.ListField(child=RunIdField(), min_length=1, max_length=AT_ONCE)
    force = s.BooleanField(default=False, help_text="erase them for good, with their files")


class Removed(s.Serializer[Described]):
    results = s.DictField(child=Outcome(), help_text="by run id")


class SoftDelete(RunicornView):
    @extend_schema(
        tags=TAGS,
        operation_id="runicorn_soft_delete",
        summary="Move runs to the recycle bin",
        description=f"They leave every list; an active one goes on. {OWN_ONLY}",
        request=RunIds,
        responses={200: Deleted},
    )
    def post(self, request: Request) -> HttpResponse:
        """R3."""
        asked = run_ids(body_of(request), at_most=AT_ONCE)
        outcomes = recycle_bin.delete(asked, by=caller(request), only_of=limit_of(request))
        count = done(outcomes)
        said = f"{count} of {len(outcomes)} runs moved to the recycle bin"
        return json_response({"deleted_count": count, "results": results(outcomes), "message": said})


class Bin(RunicornView):
    @extend_schema(
        tags=TAGS,
        operation_id="runicorn_recycle_bin",
        summary="List deleted runs",
        description="The last deleted one first.",
        responses=DeletedRuns,
    )
    def get(self, request: Request) -> HttpResponse:
        """R4."""
        runs = Run.objects.deleted().order_by("-deleted_at", "-id")
        rows = list(columns_of(runs, EpochSeconds("deleted_at"), F("delete_reason")))
        shown = [
            {
                "id": item["id"],
                "project": item["project"],
                "name": item["name"],
                "created_time": item["created_time"],
                "deleted_at": deleted_at,
                "delete_reason": reason or "unknown",
                "original_status": item["status"],
                "run_dir": item["run_dir"],
            }
            for item, (*_, deleted_at, reason) in zip(render_rows(rows, {}), rows, strict=True)
        ]
        return json_response({"deleted_runs": shown})


class Restore(RunicornView):
    @extend_schema(
        tags=TAGS,
        operation_id="runicorn_restore",
        summary="Take runs out of the recycle bin",
        description=f"They show the status they have. {OWN_ONLY}",
        request=RunIds,
        responses={200: Restored},
    )
    def post(self, request: Request) -> HttpResponse:
        """R5."""
        asked = run_ids(body_of(request), at_most=AT_ONCE)
        outcomes = recycle_bin.restore(asked, by=caller(request), only_of=limit_of(request))
        count = done(outcomes)
        said = f"{count} of {len(outcomes)} runs restored"
        return json_response({"restored_count": count, "results": results(outcomes), "message": said})


class Empty(RunicornView):
    @extend_schema(
        tags=TAGS,
        operation_id="runicorn_recycle_bin_empty",
        summary="Erase deleted runs for good",
        description="Their rows and files; versions of artifacts that they made stay, and so do runs that are active. "
        "An administrator erases everybody's deleted runs, others their own.",
        request=Confirmation,
        responses={200: Emptied},
    )
    def post(self, request: Request) -> HttpResponse:
        """R6."""
        require_confirmed(body_of(request))
        erased, active = recycle_bin.empty(by=caller(request), only_of=limit_of(request))
        said = f"{erased} runs erased" + (f"; {active} are active and stay until they have ended" if active else "")
        return json_response({"permanently_deleted": erased, "message": said})


class BatchDelete(RunicornView):
    @extend_schema(
        tags=TAGS,
        operation_id="runicorn_batch_delete",
        summary="Move up to 1000 runs to the recycle bin",
        description=f"Ids that are unknown, or deleted already, count as failed. {OWN_ONLY}",
        request=Batch,
        responses={200: BatchDeleted},
    )
    def post(self, request: Request) -> HttpResponse:
        """R21."""
        asked = words(body_of(request), "exp_ids", at_most=BATCH)
        reason = text(body_of(request), "reason", default="user_batch_delete", at_most=REASON_LENGTH)
        outcomes = recycle_bin.delete(asked, by=caller(request), only_of=limit_of(request), reason=reason)
        count = done(outcomes)
        return json_response(
            {
                "deleted": count,
                "failed": len(outcomes) - count,
                "results": {run_id: not error for run_id, error in outcomes.items()},
                "deleted_count": count,
                "message": f"{count} of {len(outcomes)} runs moved to the recycle bin",
            }
        )


class Remove(RunicornView):
    @extend_schema(
        tags=TAGS,
        operation_id="runicorn_experiments_delete",
        summary="Delete runs, or erase them",
        description="To the recycle bin; with `force` for good, and no active ones. A query with `run_ids`, separated "
        f"by commas, and `force` says the same as the body. {OWN_ONLY}",
        parameters=[
            OpenApiParameter("run_ids", str, description="separated by commas"),
            OpenApiParameter("force", bool, description="erase them for good"),
        ],
        request=Removal,
        responses={200: Removed},
    )
    def delete(self, request: Request) -> HttpResponse:
        """R77."""
        asked, is_forced = self.asked(request)
        act = recycle_bin.erase if is_forced else recycle_bin.delete
        return json_response({"results": results(act(asked, by=caller(request), only_of=limit_of(request)))})

    def asked(self, request: Request) -> tuple[list[str], bool]:
        if "run_ids" not in request.query_params:
            is_forced = flag(body_of(request), "force") or query_flag(request.query_params, "force")
            return run_ids(body_of(request), at_most=AT_ONCE), is_forced
        named = [word for word in request.query_params["run_ids"].split(",") if word]
        return run_ids({"run_ids": named}, at_most=AT_ONCE), query_flag(request.query_params, "force")


def caller(request: Request) -> User:
    return cast(User, request.user)


def limit_of(request: Request) -> User | None:
    """Whose runs the caller may change; None: everybody's."""
    return None if is_admin(request) else caller(request)


def done(outcomes: Outcomes) -> int:
    return sum(not error for error in outcomes.values())


def results(outcomes: Outcomes) -> Row:
    return {run_id: {"success": False, "error": it} if it else {"success": True} for run_id, it in outcomes.items()}
