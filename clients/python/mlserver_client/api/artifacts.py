"""`client.artifacts`: models, datasets and whatever else runs have made."""

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from mlserver_client.api.downloads import save
from mlserver_client.api.transport import send

if TYPE_CHECKING:
    import os

    from mlserver_client.api.client import RunicornClient


class ArtifactsAPI:
    """An artifact's id is `name:v3`, `name:3` or `name:alias`."""

    def __init__(self, client: "RunicornClient") -> None:
        self._client = client

    def list_artifacts(
        self, type: str | None = None, limit: int | None = None, offset: int | None = None
    ) -> list[dict[str, Any]]:
        asked = {"type": type, "limit": limit, "offset": offset}
        return self._list("/api/artifacts", "artifacts", {k: v for k, v in asked.items() if v is not None})

    def list_versions(self, name: str) -> list[dict[str, Any]]:
        return self._list(f"/api/artifacts/{quote(name, safe='')}/versions", "versions")

    def get_artifact(self, id: str) -> dict[str, Any]:
        return self._client.get(f"/api/artifacts/{quote(id, safe=':')}")

    def get_artifact_lineage(self, id: str) -> dict[str, Any]:
        return self._client.get(f"/api/artifacts/{quote(id, safe=':')}/lineage")

    def list_experiment_artifacts(self, run_id: str, relation: str | None = None) -> list[dict[str, Any]]:
        """`relation`: `created` or `used`; both without."""
        asked = {"relation": relation} if relation else {}
        return self._list(f"/api/experiments/{quote(run_id, safe='')}/artifacts", "artifacts", asked)

    def download_artifact(self, id: str, output_path: "str | os.PathLike[str]", *, progress: bool | None = None) -> str:
        """Every file of the version into the directory `output_path`, which is returned.

        Each is checked against its digest and appears when it is whole. Raises ConnectionError for one that is
        damaged, ValueError for one that names a place outside the directory.
        """
        target = Path(output_path)
        found = self.get_artifact(id)
        base = f"/api/artifacts/{quote(str(found['name']), safe='')}/v{found['version']}/files"
        for file in self._client.get(base).get("files", []):
            path = target / inner_path(file["path"])
            url = f"{self._client.base_url}{base}/{quote(file['path'])}"
            answer = send(self._client.session, "GET", url, stream=True, timeout=self._client.timeout)
            save(answer, path, digest=file.get("digest"), wanted=progress)
        return str(target)

    def _list(self, endpoint: str, name: str, params: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """Servers answer lists bare or under a name."""
        answer: Any = self._client.get(endpoint, params=params)
        return list(answer.get(name, []) if isinstance(answer, dict) else answer)


def inner_path(text: str) -> PurePosixPath:
    path = PurePosixPath(text)
    if not text or path.is_absolute() or ".." in path.parts or "\\" in text:
        raise ValueError(f"the server names a file {text!r}, which lies outside the artifact")
    return path
