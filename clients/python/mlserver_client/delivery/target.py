"""The server that runs are delivered to."""

import os
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Target:
    url: str
    key: str = field(repr=False)


def configured_target(url: str | None = None, key: str | None = None) -> Target | None:
    """Arguments first, then MLSERVER_URL and MLSERVER_API_KEY; None unless both are there.

    Also None with RUNICORN_DISABLE_MODERN_STORAGE, which asks for files only. Raises ValueError for no http address.
    """
    url, key = url or os.environ.get("MLSERVER_URL"), key or os.environ.get("MLSERVER_API_KEY")
    if not url or not key or os.environ.get("RUNICORN_DISABLE_MODERN_STORAGE", "").lower() in ("1", "true", "yes"):
        return None
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"server {url!r} is no address: it must read http://host:port or https://host:port")
    return Target(url.rstrip("/"), key)
