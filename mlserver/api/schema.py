"""What every operation of the schema has in common: its refusals and the header of POSTs that create."""

# mypy: disable-error-code="no-untyped-call"
# drf-spectacular annotates types but not all of its functions.

from typing import Any, Literal

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers as s

from mlserver.api.bodies import validation_status_of
from mlserver.api.idempotency import HEADER, MAX_KEY_CHARACTERS
from mlserver.api.parsing import MAX_JSON_BYTES

REFUSALS = {
    "400": "the body is not JSON, or not an object",
    "401": "no key, or not a valid one",
    "403": "the scope is too small, or the object is somebody else's",
    "404": "there is no such object",
    "409": "the object is in another state; `detail` says in which",
    "413": f"the body is larger than {MAX_JSON_BYTES} bytes",
    "415": "the body is not `application/json`",
    "422": "values are refused; `errors` has a sentence for each",
    "429": "too many wrong keys came from this address",
    "503": "the server cannot answer now; nothing was changed",
}
VALUES_REFUSED = "the body is not JSON, or not an object; or a value is refused: `detail` says which"
OF_EVERY_CALL = {"401", "403", "429", "503"}
OF_A_BODY = {"400", "413"}
OF_A_JSON_BODY = OF_A_BODY | {"415"}
WITH_RETRY = {"429", "503"}
RETRY_AFTER = {"Retry-After": {"description": "seconds to wait", "schema": {"type": "integer"}}}
KEY_PARAMETER = OpenApiParameter(
    HEADER,
    {"type": "string", "maxLength": MAX_KEY_CHARACTERS},
    "header",
    description=f"a word of yours, at most {MAX_KEY_CHARACTERS} characters: the same call with it, sent again within "
    "24 hours, creates nothing new and answers what the first one did",
)


def whole_parameter(name: str, said: str, *, default: int, at_least: int, at_most: int) -> OpenApiParameter:
    """A whole number in the query; bounds included, as `query_int` checks them."""
    rule = {"type": "integer", "minimum": at_least, "maximum": at_most, "default": default}
    return OpenApiParameter(name, rule, description=said)


def text_parameter(
    name: str, said: str, *, pattern: str, at_most: int | None = None, location: Literal["path", "query"] = "path"
) -> OpenApiParameter:
    """Required text that matches `pattern` as a whole and has `at_most` characters."""
    rule: dict[str, Any] = {"type": "string", "pattern": f"^{pattern}$"} | ({"maxLength": at_most} if at_most else {})
    return OpenApiParameter(name, rule, location, required=True, description=said)


class Refusal(s.Serializer[dict[str, object]]):
    """Why a call was refused."""

    detail = s.CharField(help_text="for people")
    errors = s.DictField(  # type: ignore[assignment]  # a field's name, and one of the class's own
        child=s.ListField(child=s.CharField()), required=False, help_text="with 422: sentences by field"
    )


class DoorSchema(AutoSchema):
    """A view names the actions that may find their object in another state in `conflicting_actions`.

    One whose refusals have a shape of their own names its serializer in `refusal`.
    """

    def get_override_parameters(self) -> list[Any]:
        handler = getattr(self.view, getattr(self.view, "action", "") or self.method.lower())
        found: list[Any] = super().get_override_parameters()
        return [*found, KEY_PARAMETER] if getattr(handler, "is_idempotent", False) else found

    def get_operation(self, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        operation: dict[str, Any] | None = super().get_operation(*args, **kwargs)
        if operation is not None:
            for code in sorted(self._refusals(operation)):
                operation["responses"].setdefault(code, self._refusal(code))
        return operation

    def _refusals(self, operation: dict[str, Any]) -> set[str]:
        places = {parameter["in"] for parameter in operation.get("parameters", [])}
        bodies = operation.get("requestBody", {}).get("content", {})
        return (
            OF_EVERY_CALL
            | (OF_A_JSON_BODY if "application/json" in bodies else OF_A_BODY if bodies else set())
            | ({"404"} if "path" in places else set())
            | ({self._of_values()} if bodies or places & {"query", "header"} else set())
            | ({"400"} & {self._of_values()} if "path" in places else set())
            | ({"409"} if self._may_conflict() else set())
        )

    def _may_conflict(self) -> bool:
        """A view without actions names its methods."""
        action = getattr(self.view, "action", "") or self.method.lower()
        return action in getattr(self.view, "conflicting_actions", ())

    def _of_values(self) -> str:
        return str(validation_status_of(self.path))

    def _refusal(self, code: str) -> dict[str, Any]:
        shape = getattr(self.view, "refusal", Refusal)
        said: dict[str, Any] = self._get_response_for_code(shape, code, media_types=["application/json"])
        why = VALUES_REFUSED if code == "400" and self._of_values() == code else REFUSALS[code]
        return {**said, "description": why} | ({"headers": RETRY_AFTER} if code in WITH_RETRY else {})
