"""Rate limits as they stand in rate_limits.json: the rules of the file, and what it says when there is none."""

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from mlserver.errors import shown

MOST_REQUESTS, MOST_SECONDS = 100_000, 86_400
# A path of whole segments; `{name}` stands for what a row takes there, `*` for any one segment.
ENDPOINT = re.compile(r"((GET|POST|PUT|PATCH|DELETE) )?/api(/[^/\s]+)+")
HEADER = re.compile(r"[A-Za-z0-9-]{1,64}")
# Of open connections, which no window counts.
LOG_SOCKET = "/api/runs/{run_id}/logs/ws"


@dataclass(frozen=True)
class Limit:
    """At most `max_requests` in any `window_seconds`, and `burst_size` of them in any second."""

    max_requests: int
    window_seconds: int = 60
    burst_size: int | None = None
    description: str = ""


@dataclass(frozen=True)
class Headers:
    """Names of the headers that each answer has."""

    rate_limit_header: str = "X-RateLimit-Limit"
    rate_limit_remaining_header: str = "X-RateLimit-Remaining"
    rate_limit_reset_header: str = "X-RateLimit-Reset"


@dataclass(frozen=True)
class Options:
    enable_rate_limiting: bool = True
    log_violations: bool = True
    whitelist_localhost: bool = False
    custom_headers: Headers = Headers()


def table() -> dict[str, Limit]:
    """The limits of the API document that differ from its default."""
    return {
        "/api/runs": Limit(100, description="list of runs"),
        "/api/runs/soft-delete": Limit(20),
        "/api/recycle-bin/empty": Limit(5),
        "/api/runs/{run_id}/metrics": Limit(60),
        "/api/runs/{run_id}/metrics_step": Limit(60),
        LOG_SOCKET: Limit(10, description="open connections"),
        "/api/v2/experiments": Limit(100),
        "/api/v2/experiments/{id}": Limit(200),
        "/api/v2/experiments/{id}/metrics/fast": Limit(100),
        "/api/v2/experiments/batch-delete": Limit(10),
        "/api/config/user_root_dir": Limit(10),
        "POST /api/config/ssh_connections": Limit(20),
        "DELETE /api/config/ssh_connections/{key}": Limit(20),
        "/api/remote/connect": Limit(5, description="attempts to open SSH"),
        "/api/gpu/telemetry": Limit(120, description="pages ask every 2 s"),
        "/api/system/monitor": Limit(120, description="pages ask every 2 s"),
    }


@dataclass(frozen=True)
class RateLimits:
    """`endpoints` by path, in front of it a method if it is only of one."""

    default: Limit = Limit(60)
    endpoints: Mapping[str, Limit] = field(default_factory=table)
    settings: Options = Options()

    @classmethod
    def of(cls, data: object) -> "RateLimits":
        """From the JSON of the file; what it leaves out is as without a file. Raises BadRateLimits."""
        complaints = complaints_about(data)
        if complaints:
            raise BadRateLimits(complaints)
        assert isinstance(data, dict)
        options = dict(data.get("settings", {}))
        headers = Headers(**options.pop("custom_headers", {}))
        endpoints = data.get("endpoints")
        return cls(
            Limit(**data["default"]) if "default" in data else Limit(60),
            table() if endpoints is None else {path: Limit(**limit) for path, limit in endpoints.items()},
            Options(**options, custom_headers=headers),
        )

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class BadRateLimits(ValueError):
    """`complaints`: one sentence for each member that is refused."""

    def __init__(self, complaints: list[str]) -> None:
        super().__init__("; ".join(complaints))
        self.complaints = complaints


Rules = Mapping[str, tuple[Callable[[object], bool], str]]
A_FLAG: tuple[Callable[[object], bool], str] = (lambda it: isinstance(it, bool), "true or false")


def _is_whole(value: object, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most


LIMIT: Rules = {
    "max_requests": (lambda it: _is_whole(it, MOST_REQUESTS), f"a whole number from 1 to {MOST_REQUESTS}"),
    "window_seconds": (lambda it: _is_whole(it, MOST_SECONDS), f"a whole number from 1 to {MOST_SECONDS}"),
    "burst_size": (
        lambda it: it is None or _is_whole(it, MOST_REQUESTS), f"null or a whole number from 1 to {MOST_REQUESTS}"
    ),
    "description": (lambda it: isinstance(it, str), "text"),
}  # fmt: skip
OPTIONS: Rules = dict.fromkeys(("enable_rate_limiting", "log_violations", "whitelist_localhost"), A_FLAG)
NAME: tuple[Callable[[object], bool], str] = (
    lambda it: isinstance(it, str) and HEADER.fullmatch(it) is not None,
    "the name of a header: letters, digits and -",
)
HEADERS: Rules = dict.fromkeys(asdict(Headers()), NAME)


def complaints_about(data: object) -> list[str]:
    """Why the JSON of a file is refused: one sentence for each member, none when it is good."""
    if not isinstance(data, dict):
        return ["the file must hold a JSON object"]
    found = _unknown(data, ("default", "endpoints", "settings"), "")
    if "default" in data:
        found += _of_limit(data["default"], "default")
    found += _of_endpoints(data.get("endpoints"))
    return found + _of_settings(data.get("settings", {}))


def _of_endpoints(endpoints: object) -> list[str]:
    if endpoints is None:
        return []
    if not isinstance(endpoints, dict):
        return [f"endpoints: {shown(endpoints)} must be an object"]
    found = []
    for path, limit in endpoints.items():
        if not ENDPOINT.fullmatch(path):
            found.append(f"endpoints: {shown(path)} must be a path such as /api/runs/{{run_id}}/metrics")
        found += _of_limit(limit, f"endpoints[{shown(path)}]")
    return found


def _of_limit(limit: object, where: str) -> list[str]:
    found = _refused(limit, LIMIT, where)
    if isinstance(limit, dict) and "max_requests" not in limit:
        found.append(f"{where}: max_requests is missing")
    return found


def _of_settings(settings: object) -> list[str]:
    if not isinstance(settings, dict):
        return [f"settings: {shown(settings)} must be an object"]
    headers = settings.get("custom_headers", {})
    rest = {name: value for name, value in settings.items() if name != "custom_headers"}
    found = _refused(rest, OPTIONS, "settings") + _refused(headers, HEADERS, "settings.custom_headers")
    if not found:
        names = [name.lower() for name in (asdict(Headers()) | headers).values()]
        if len(set(names)) < len(names):
            found.append("settings.custom_headers: the three names must differ")
    return found


def _refused(value: object, rules: Rules, where: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{where}: {shown(value)} must be an object"]
    found = _unknown(value, rules, f"{where}.")
    for name, (is_good, rule) in rules.items():
        if name in value and not is_good(value[name]):
            found.append(f"{where}.{name}: {shown(value[name])} must be {rule}")
    return found


def _unknown(value: Mapping[str, object], known: Any, where: str) -> list[str]:
    """Members that begin with `_` are remarks."""
    names = ", ".join(known)
    return [
        f"{where}{name} is unknown; known are {names}"
        for name in value
        if name not in known and not name.startswith("_")
    ]
