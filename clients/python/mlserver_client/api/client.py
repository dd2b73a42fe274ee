"""The client."""

import functools
import os
from collections.abc import Sequence
from typing import Any, cast
from urllib.parse import quote

from mlserver_client.api.artifacts import ArtifactsAPI
from mlserver_client.api.downloads import received
from mlserver_client.api.exceptions import ConnectionError, NotFoundError, RunicornAPIError
from mlserver_client.api.remote import RemoteAPI
from mlserver_client.api.transport import decoded, new_session, origin, send

DEFAULT_URL = "http://127.0.0.1:23300"
HEALTH_WITHIN_S = 5
# What healthy servers say of themselves: two APIs, two words.
HEALTHY = ("ok", "healthy")


def connect(
    base_url: str | None = None, timeout: float = 30, max_retries: int = 3, *, api_key: str | None = None
) -> "RunicornClient":
    return RunicornClient(base_url, timeout, max_retries, api_key=api_key)


class RunicornClient:
    """`with RunicornClient(...) as client`, or `close()` at the end. Use one per thread."""

    def __init__(
        self, base_url: str | None = None, timeout: float = 30, max_retries: int = 3, *, api_key: str | None = None
    ) -> None:
        """`base_url` defaults to MLSERVER_URL or http://127.0.0.1:23300, `api_key` to MLSERVER_API_KEY.

        `timeout`: seconds of a request. Raises ConnectionError when no healthy server is there, ValueError for no
        address.
        """
        self.base_url = origin(base_url or os.environ.get("MLSERVER_URL") or DEFAULT_URL)
        self.timeout = timeout
        self.session = new_session(max_retries, api_key or os.environ.get("MLSERVER_API_KEY"))
        try:
            self._check_health()
        except RunicornAPIError:
            self.close()
            raise

    def _check_health(self) -> None:
        try:
            said = self.get("/api/health", within_s=HEALTH_WITHIN_S)
        except NotFoundError:
            said = self.get("/health", within_s=HEALTH_WITHIN_S)
        if said.get("status") not in HEALTHY:
            raise ConnectionError(f"{self.base_url} is not healthy: {said}")

    def _call(self, method: str, endpoint: str, *, within_s: float | None = None, **options: Any) -> dict[str, Any]:
        """The decoded answer; of rows that answer lists, that list."""
        url = f"{self.base_url}/{endpoint.lstrip('/')}"
        answer = send(self.session, method, url, timeout=within_s or self.timeout, **options)
        return cast(dict[str, Any], decoded(answer))

    def get(
        self, endpoint: str, params: dict[str, Any] | None = None, *, within_s: float | None = None
    ) -> dict[str, Any]:
        """`endpoint` from the root of the server: `/api/runs`."""
        return self._call("GET", endpoint, params=params, within_s=within_s)

    def post(self, endpoint: str, json: Any = None) -> dict[str, Any]:
        return self._call("POST", endpoint, json=json)

    def put(self, endpoint: str, json: Any = None) -> dict[str, Any]:
        return self._call("PUT", endpoint, json=json)

    def delete(self, endpoint: str) -> dict[str, Any]:
        return self._call("DELETE", endpoint)

    def list_experiments(
        self,
        project: str | None = None,
        name: str | None = None,
        status: str | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> list[dict[str, Any]]:
        """Newest first; all of them without a limit."""
        asked = {"project": project, "name": name, "status": status, "limit": limit, "offset": offset}
        return list_in(self.get("/api/experiments", params=given(asked)), "experiments")

    def get_experiment(self, run_id: str) -> dict[str, Any]:
        return self.get(f"/api/runs/{quoted(run_id)}")

    def get_run(self, run_id: str) -> dict[str, Any]:
        return self.get_experiment(run_id)

    def list_projects(self) -> list[dict[str, Any]]:
        return list_in(self.get("/api/projects"), "items")

    def get_metrics(
        self, run_id: str, metric_names: Sequence[str] | None = None, limit: int | None = None
    ) -> dict[str, Any]:
        """`metrics`: by name, the last `limit` points of step, value and timestamp (s)."""
        asked = {"metrics": ",".join(metric_names) if metric_names else None, "limit": limit}
        return self.get(f"/api/metrics/{quoted(run_id)}", params=given(asked))

    def export_experiment(
        self, run_id: str, format: str = "json", include_media: bool = False, *, progress: bool | None = None
    ) -> bytes:
        """`json` or `csv`, or a zip with the media. `progress`: show a bar; by default on a terminal."""
        body = {"run_id": run_id, "format": format, "include_media": include_media}
        url = f"{self.base_url}/api/export"
        answer = send(self.session, "POST", url, json=body, stream=True, timeout=self.timeout)
        return b"".join(received(answer, f"export of {run_id}", wanted=progress))

    def get_config(self) -> dict[str, Any]:
        return self.get("/api/config")

    def update_config(self, config: dict[str, Any]) -> dict[str, Any]:
        return self.put("/api/config", json=config)

    def get_gpu_info(self) -> dict[str, Any]:
        return self.get("/api/gpu")

    def health_check(self) -> dict[str, Any]:
        return self.get("/api/health")

    @functools.cached_property
    def artifacts(self) -> ArtifactsAPI:
        return ArtifactsAPI(self)

    @functools.cached_property
    def remote(self) -> RemoteAPI:
        return RemoteAPI(self)

    def close(self) -> None:
        self.session.close()

    def __enter__(self) -> "RunicornClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def quoted(part: str) -> str:
    """As one segment of a path, whatever it holds."""
    return quote(part, safe="")


def given(asked: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in asked.items() if value is not None}


def list_in(answer: Any, name: str) -> list[dict[str, Any]]:
    """Servers answer lists bare or under a name."""
    found = answer.get(name, []) if isinstance(answer, dict) else answer
    return list(found)
