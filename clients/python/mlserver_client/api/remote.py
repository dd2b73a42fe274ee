"""`client.remote`: viewers on other machines, over SSH."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlserver_client.api.client import RunicornClient


class RemoteAPI:
    """What is not given is sent as null: the server then chooses."""

    def __init__(self, client: "RunicornClient") -> None:
        self._client = client

    def connect(
        self,
        host: str,
        port: int = 22,
        username: str | None = None,
        password: str | None = None,
        private_key_path: str | None = None,
        passphrase: str | None = None,
    ) -> dict[str, Any]:
        """`connection_id` of the answer names the connection in the other calls."""
        body = {
            "host": host, "port": port, "username": username, "password": password,
            "private_key_path": private_key_path, "passphrase": passphrase,
        }  # fmt: skip
        return self._client.post("/api/remote/connect", json=body)

    def disconnect(self, host: str) -> dict[str, Any]:
        return self._client.post("/api/remote/disconnect", json={"host": host})

    def start_viewer(
        self,
        connection_id: str,
        remote_root: str | None = None,
        local_port: int | None = None,
        remote_port: int | None = None,
    ) -> dict[str, Any]:
        """With `local_url` and `local_port` of the tunnel."""
        body = {
            "connection_id": connection_id, "remote_root": remote_root, "local_port": local_port,
            "remote_port": remote_port,
        }  # fmt: skip
        return self._client.post("/api/remote/viewer/start", json=body)

    def stop_viewer(self, session_id: str) -> dict[str, Any]:
        return self._client.post("/api/remote/viewer/stop", json={"session_id": session_id})

    def list_sessions(self) -> list[dict[str, Any]]:
        return list(self._client.get("/api/remote/sessions").get("sessions", []))

    def list_viewer_sessions(self) -> list[dict[str, Any]]:
        return list(self._client.get("/api/remote/viewer/sessions").get("sessions", []))

    def list_remote_directory(self, connection_id: str, path: str = "~") -> list[dict[str, Any]]:
        asked = {"connection_id": connection_id, "path": path}
        found = self._client.get("/api/remote/fs/list", params=asked)
        return list(found.get("entries") or found.get("items") or [])

    def check_remote_path(self, connection_id: str, path: str) -> bool:
        """Does it exist?"""
        asked = {"connection_id": connection_id, "path": path}
        return bool(self._client.get("/api/remote/fs/exists", params=asked).get("exists"))

    def get_remote_status(self) -> dict[str, Any]:
        return self._client.get("/api/remote/status")
