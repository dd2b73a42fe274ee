"""HTTP of the client: one session with kept connections, retries and a key."""

from typing import Any
from urllib.parse import urlsplit

from mlserver_client.api.exceptions import (
    AuthenticationError,
    BadRequestError,
    ConnectionError,
    NotFoundError,
    RetriesUsedUp,
    RunicornAPIError,
    ServerError,
)

try:
    import requests
    from requests.adapters import HTTPAdapter
    from requests.auth import AuthBase
    from urllib3.util.retry import Retry
except ImportError as error:
    raise ImportError("mlserver_client.api needs requests: pip install 'mlserver-client[api]'") from error

BACKOFF_S = 0.5
RETRIED = (500, 502, 503, 504)
RETRIED_METHODS = frozenset({"GET", "POST", "PUT", "DELETE"})


def new_session(max_retries: int, api_key: str | None) -> requests.Session:
    """Retries of urllib3: after 0, 1, 2, 4... s, or what Retry-After of a 429 or 503 says."""
    retry = Retry(
        total=max_retries, backoff_factor=BACKOFF_S, status_forcelist=RETRIED, allowed_methods=RETRIED_METHODS,
        raise_on_status=False,
    )  # fmt: skip
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=retry))
    session.headers["Accept"] = "application/json"
    if api_key:
        session.auth = KeyAuth(api_key)
    return session


class KeyAuth(AuthBase):
    """A header alone would give way to what ~/.netrc has for the host."""

    def __init__(self, key: str) -> None:
        self._value = f"Bearer {key}"

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._value
        return request


def origin(base_url: str) -> str:
    """Scheme, host and port; a path is ignored. Raises ValueError for no http address."""
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ValueError(f"base_url {base_url!r} is no address: it must read http://host:port")
    return f"{parts.scheme}://{parts.netloc}"


def send(session: requests.Session, method: str, url: str, **options: Any) -> requests.Response:
    """A successful answer; everything else is raised as an error of the client."""
    try:
        response = session.request(method, url, **options)
    except requests.exceptions.RequestException as error:
        raise ConnectionError(f"{method} {url} failed: {error}") from error
    if response.ok:
        return response
    with response:
        raise error_of(response, f"{method} {url}")


def error_of(response: requests.Response, call: str) -> RunicornAPIError:
    status = response.status_code
    said = f"{call} answered {status}: {detail_of(response)}"
    known: dict[int, type[RunicornAPIError]] = {
        400: BadRequestError, 401: AuthenticationError, 403: AuthenticationError, 404: NotFoundError,
    }  # fmt: skip
    if status in RETRIED:
        return RetriesUsedUp(said)
    return known.get(status, ServerError if status >= 500 else ConnectionError)(said)


def detail_of(response: requests.Response) -> str:
    """Of any of the forms in which the server's APIs say it."""
    try:
        body = response.json()
    except ValueError:
        return response.text[:500] or response.reason
    if isinstance(body, dict):
        body = body.get("detail") or body.get("message") or body.get("error") or body
    return str(body)[:500]


def decoded(response: requests.Response) -> Any:
    """Raises ConnectionError when the answer is no JSON: something else than the server has answered."""
    if not response.content:
        return {}
    try:
        return response.json()
    except ValueError as error:
        raise ConnectionError(f"{response.url} answered no JSON: {response.text[:100]!r}") from error
