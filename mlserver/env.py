"""Typed readers of environment variables; a bad value is refused with its name, the value and the rule."""

import ipaddress
import os
import pwd
import re
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

TRUE, FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off", ""}


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


def env_path(name: str, default: Path) -> Path:
    raw = env_str(name)
    return Path(raw).expanduser().resolve() if raw else default.resolve()


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
