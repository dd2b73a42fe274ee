"""The one tree of expected errors; each door's handler gives them a status and a body.

May be imported from anywhere. Services raise these, views never build error bodies themselves.
"""

import json
from collections.abc import Mapping

LONGEST_SHOWN = 60


def shown(value: object) -> str:
    """`value` as a message shows it: as JSON, because that is how it was sent, and short."""
    try:
        text = json.dumps(value, ensure_ascii=False, default=repr)
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        text = json.dumps(value, default=repr)
    except (TypeError, RecursionError):
        text = f"a value of type {type(value).__name__}"
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 3] + "..."


class ServerError(Exception):
    """Base of every expected error: `status` is the HTTP status, `code` the stable machine word."""

    status = 500
    code = "error"

    def __init__(self, message: str, *, errors: Mapping[str, list[str]] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.errors = dict(errors or {})


class NotFound(ServerError):
    """The named object does not exist, or is not visible to this user."""

    status = 404
    code = "not_found"


class Conflict(ServerError):
    """The object exists but is not in a state that allows the call."""

    status = 409
    code = "conflict"


class Invalid(ServerError):
    """A value was refused; `errors` maps field -> sentences that name the value and the rule."""

    status = 422
    code = "invalid"

    @classmethod
    def field(cls, name: str, rule: str) -> "Invalid":
        """One refused field: `rule` says the value and what it must be."""
        return cls(f"{name}: {rule}", errors={name: [rule]})

    @classmethod
    def fields(cls, errors: Mapping[str, list[str]]) -> "Invalid":
        """Several refused fields; the message lists them all in one line."""
        said = "; ".join(f"{name}: {' '.join(rules)}" for name, rules in errors.items())
        return cls(said, errors=errors)


class BadRequest(ServerError):
    """The request cannot be understood or served as it is, though no single value has a wrong shape."""

    status = 400
    code = "bad_request"


class Forbidden(ServerError):
    """The caller is known and may not do this."""

    status = 403
    code = "forbidden"


class Unavailable(ServerError):
    """The server cannot answer now and can say when to ask again (`retry_after_s`)."""

    status = 503
    code = "unavailable"
    retry_after_s = 5


class UpgradeRequired(ServerError):
    """The path is a WebSocket, and the request is a plain one."""

    status = 426
    code = "upgrade_required"


class TooManyRequests(ServerError):
    """A limit was passed; `retry_after_s` says when the next call is let in."""

    status = 429
    code = "too_many_requests"

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class TooLarge(ServerError):
    """The body is larger than this row takes."""

    status = 413
    code = "too_large"


class OutOfSpace(ServerError):
    """A disk is full; nothing of what was being written is left."""

    status = 500
    code = "out_of_space"
