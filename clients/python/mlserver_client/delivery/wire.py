"""One kept HTTP connection to a server, and what its answers mean for a delivery."""

import contextlib
import http.client
import json
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from mlserver_client.delivery.target import Target

WITHIN_S = 20.0
# 408, 425, 429 and everything from 500 on will be answered otherwise at another time.
PASSING = (408, 425, 429)
LONGEST_WAIT_S = 300.0


class Later(Exception):
    """The server is away, busy or broken: try again, not before `after_s` seconds."""

    def __init__(self, why: str, after_s: float = 0.0) -> None:
        super().__init__(why)
        self.after_s = after_s


class Refusal(Exception):
    """The server will not take it, however often it is tried."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(f"{status} {why}")
        self.status = status


@dataclass(frozen=True)
class Answer:
    status: int
    body: dict[str, Any]
    headers: Mapping[str, str]

    def number(self, *names: str) -> int | None:
        """The first of these that the body, or a header, gives as a number."""
        for name in names:
            value = self.body.get(name, self.headers.get(name.lower()))
            if isinstance(value, str) and value.isdigit():
                return int(value)
            if isinstance(value, int) and not isinstance(value, bool):
                return value
        return None

    def expected(self, *names: str) -> int | None:
        """What a 409 expects: under one of these names, else the number that ends its `detail`."""
        found = self.number(*names)
        ending = re.search(r"\b(\d+)\.?$", said_by(self))
        return int(ending[1]) if found is None and ending else found


class Wire:
    """Used by one thread at a time. The connection is made with the first request and again after it broke."""

    def __init__(self, target: Target) -> None:
        parts = urlsplit(target.url)
        self._prefix = parts.path.rstrip("/")
        self._authorization = f"Bearer {target.key}"
        self._connection: http.client.HTTPConnection
        if parts.scheme == "https":
            context = ssl.create_default_context()
            self._connection = http.client.HTTPSConnection(parts.netloc, timeout=WITHIN_S, context=context)
        else:
            self._connection = http.client.HTTPConnection(parts.netloc, timeout=WITHIN_S)

    def send(
        self, method: str, path: str, body: bytes = b"", *, type: str = "application/json", **headers: str
    ) -> Answer:
        """Any answer below 500 but 408, 425 and 429. Raises Later; Refusal for 401 and 403."""
        sent = {"Authorization": self._authorization, "Content-Type": type, "Accept": "application/json"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            self._connection.request(method, self._prefix + path, body, sent)
            response = self._connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Later(f"{type_name(error)}: {error}") from error
        answer = Answer(
            response.status, decoded(content), {name.lower(): value for name, value in response.getheaders()}
        )
        if answer.status in PASSING or answer.status >= 500:
            raise Later(said_by(answer), min(answer.number("Retry-After") or 0, LONGEST_WAIT_S))
        if answer.status in (401, 403):
            raise Refusal(answer.status, said_by(answer))
        return answer

    def send_json(self, method: str, path: str, body: Mapping[str, Any]) -> Answer:
        return self.send(method, path, json.dumps(body, allow_nan=False).encode())

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._connection.close()


def type_name(error: BaseException) -> str:
    return type(error).__name__


def decoded(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def said_by(answer: Answer) -> str:
    return str(answer.body.get("detail") or f"status {answer.status}")[:300]
