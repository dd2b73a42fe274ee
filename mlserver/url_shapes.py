"""What a URL, an origin and a host name look like, and how a URL is shown without its secrets."""

import ipaddress
import re
from typing import NamedTuple
from urllib.parse import urlsplit

HOST_NAME = re.compile(r"\.?[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\.?", re.IGNORECASE)


def is_ip_address(word: str) -> bool:
    try:
        ipaddress.ip_address(word)
    except ValueError:
        return False
    return True


def is_origin(word: str) -> bool:
    parts = url_parts(word)
    if parts is None or not parts.host or "@" in word:
        return False
    host = parts.host
    port = "" if parts.port is None else f":{parts.port}"
    is_host = is_ip_address(host) or HOST_NAME.fullmatch(host) is not None
    return is_host and word.lower() == f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}"


class UrlParts(NamedTuple):
    scheme: str
    host: str
    port: int | None
    path: str


def url_parts(url: str) -> UrlParts | None:
    """None for what is no URL, such as one whose port is no number."""
    try:
        parts = urlsplit(url)
        return UrlParts(parts.scheme, parts.hostname or "", parts.port, parts.path) if "://" in url else None
    except ValueError:
        return None


def without_password(url: str) -> str:
    """`url` to be shown: neither what stands before its host nor its query."""
    return re.sub(r"\?.*", "?...", re.sub(r"^([a-z0-9+.-]*:(//)?)?.*@", r"\1...@", url, flags=re.S | re.I), flags=re.S)
