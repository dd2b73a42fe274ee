"""Typed readers of environment variables; a bad value is refused with its name, the value and the rule."""

import ipaddress
import os
import pwd
import re
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from mlserver.url_shapes import HOST_NAME, is_ip_address, is_origin, url_parts, without_password

TRUE, FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off", ""}
DATABASE_RULE = "postgres://USER:PASSWORD@HOST:PORT/NAME, the same with postgresql, or sqlite:///PATH"
IMAGE_RULE = "NAME=/path/of/an/environment, NAME=docker:IMAGE, NAME=podman:IMAGE or NAME=apptainer:IMAGE"
REDIS_RULE = "redis://HOST:PORT/NUMBER, rediss://HOST:PORT/NUMBER or unix:///PATH"
# Where the server's own secrets are, or what the server itself tells a job.
NOT_FOR_JOBS = {"API_KEYS", "DATABASE_URL", "Q_REDIS_URL"}


def env_str(name: str, default: str = "") -> str:
    return os.environ.get(name, default).strip()


def env_list(name: str, default: tuple[str, ...] = ()) -> list[str]:
    """Comma separated words, blanks dropped."""
    if name not in os.environ:
        return list(default)
    return [word.strip() for word in os.environ[name].split(",") if word.strip()]


def env_networks(name: str) -> list[str]:
    """Comma separated IP addresses or networks, as they were written."""
    words = env_list(name)
    for word in words:
        try:
            ipaddress.ip_network(word)
        except ValueError as error:
            raise refused(name, word, f"an IP address or network such as 10.0.0.0/8; {error}") from error
    return words


def env_hosts(name: str) -> list[str]:
    """Comma separated names and IP addresses; IPv6 ones get the brackets that they have in a Host header."""
    words = env_list(name)
    for word in words:
        if not is_ip_address(word.strip("[]")) and not HOST_NAME.fullmatch(word):
            raise refused(name, word, "a host name or IP address, without scheme, port and path")
    return [f"[{word.strip('[]')}]" if ":" in word else word for word in words]


def env_origins(name: str) -> list[str]:
    """Comma separated origins, as browsers write them: in lower case."""
    words = env_list(name)
    for word in words:
        if not is_origin(word):
            raise refused(name, word, "scheme://host[:port] without a path, for example https://example.org:8443")
    return [word.lower() for word in words]


def env_variables(name: str, default: tuple[str, ...]) -> list[str]:
    """Comma separated names of environment variables that jobs may have."""
    words = env_list(name, default)
    for word in words:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", word):
            raise refused(name, word, "the name of a variable: letters, digits and _, no digit first")
        if word.startswith("MLSERVER_") or word in NOT_FOR_JOBS:
            raise refused(
                name, word, f"no name that starts with MLSERVER_ and none of {', '.join(sorted(NOT_FOR_JOBS))}"
            )
    return words


def env_database_url(name: str) -> str:
    """A URL that dj_database_url can parse; empty when unset. Refusals never show its password."""
    raw = env_str(name)
    if not raw:
        return ""
    parts = url_parts(raw)
    # A database in memory would be another one in each process.
    is_file = parts is not None and parts.scheme == "sqlite" and not parts.host and len(parts.path) > 1
    if parts is None or not (is_file or parts.scheme in ("postgres", "postgresql")):
        raise refused(name, without_password(raw), DATABASE_RULE)
    return raw


def env_redis_url(name: str) -> str:
    """Where a Redis server listens; empty when unset. Refusals never show its password."""
    raw = env_str(name)
    if not raw:
        return ""
    parts = url_parts(raw)
    is_network = parts is not None and parts.scheme in ("redis", "rediss") and parts.host
    is_socket = parts is not None and parts.scheme == "unix" and len(parts.path) > 1
    if not is_network and not is_socket:
        raise refused(name, without_password(raw), REDIS_RULE)
    return raw


def env_account(name: str) -> str:
    """An account of this machine; switching to it needs root. Empty when unset."""
    raw = env_str(name)
    if not raw:
        return ""
    try:
        pwd.getpwnam(raw)
    except KeyError as error:
        raise refused(name, raw, "an account of this machine") from error
    if os.geteuid() != 0:
        raise refused(name, raw, "unset unless the server runs as root, which alone may switch accounts")
    return raw


def env_int(name: str, default: int, *, at_least: int = 0, at_most: int = 2**31 - 1) -> int:
    raw = env_str(name)
    if not raw:
        return default
    if not re.fullmatch(r"-?\d+", raw) or not at_least <= int(raw) <= at_most:
        raise refused(name, raw, f"a whole number from {at_least} to {at_most}")
    return int(raw)


def env_images(name: str) -> dict[str, str]:
    """Comma separated NAME=PLACE: a Python environment, or an engine and its image."""
    found = {}
    for word in env_list(name):
        image, equals, place = (part.strip() for part in word.partition("="))
        is_place = place.startswith("/") or re.fullmatch(r"(docker|podman|apptainer):\S+", place)
        if not image or not equals or not is_place:
            raise refused(
                name, word, "NAME=/path/of/an/environment, NAME=docker:IMAGE, NAME=podman:IMAGE or NAME=apptainer:IMAGE"
            )
        found[image] = place
    return found


def env_indices(name: str) -> list[int] | None:
    """Comma separated whole numbers from 0; None when unset."""
    if not env_str(name):
        return None
    words = env_list(name)
    for word in words:
        if not re.fullmatch(r"\d{1,4}", word):
            raise refused(name, word, "the index of a GPU: a whole number from 0 to 9999")
    return [int(word) for word in words]


def env_bool(name: str, default: bool) -> bool:
    raw = os.environ.get(name)
    if raw is None:
        return default
    if raw.strip().lower() in TRUE:
        return True
    if raw.strip().lower() in FALSE:
        return False
    raise refused(name, raw, "one of 1, 0, true, false, yes, no, on, off")


def env_choice(name: str, default: str, choices: tuple[str, ...]) -> str:
    raw = env_str(name, default)
    if raw not in choices:
        raise refused(name, raw, "one of " + ", ".join(choices))
    return raw


def env_choices(name: str, default: tuple[str, ...], choices: tuple[str, ...]) -> frozenset[str]:
    """Comma separated words of `choices`."""
    words = env_list(name, default)
    for word in words:
        if word not in choices:
            raise refused(name, word, f"a list of {', '.join(choices)}; empty: none")
    return frozenset(words)


def env_path(name: str, default: Path) -> Path:
    raw = env_str(name)
    return Path(raw).expanduser().resolve() if raw else default.resolve()


def env_directory(name: str, default: Path) -> Path:
    """A directory, or the place for one: it need not exist yet, but nothing on the way to it is a file."""
    path = env_path(name, default)
    for place in (path, *path.parents):
        if place.exists() and not place.is_dir():
            raise refused(name, str(path), f"a directory or the place for one, and {place} is a file")
    return path


def env_simulated_gpus(name: str) -> tuple[int, int]:
    """`2x24576` -> (2, 24576): count and memory of each in MiB; (0, 0) when unset."""
    raw = env_str(name)
    if not raw:
        return 0, 0
    found = re.fullmatch(r"(\d{1,2})x(\d{1,7})", raw)
    if found is None or int(found[1]) < 1 or int(found[2]) < 1:
        raise refused(name, raw, "COUNTxMIB, for example 2x24576")
    return int(found[1]), int(found[2])


def refused(name: str, value: str, rule: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"{name}={value!r} is refused: it must be {rule}")
