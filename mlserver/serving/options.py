"""What the command line of `serve` means, checked before anything is touched. The command line wins over settings."""

import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings

from mlserver.serving import Refused


@dataclass(frozen=True)
class Options:
    addresses: tuple[tuple[str, int], ...]
    api_keys: tuple[str, ...] | None
    log_level: str
    tls_cert: Path | None
    tls_key: Path | None
    reload: bool

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> "Options":
        """`given` as argparse made it, every value text or None; raises Refused for the first bad one."""
        keys = given["api_keys"]
        options = cls(
            addresses=(
                (given["host"] or settings.API_HOST, parse_port("--port", given["port"] or str(settings.API_PORT))),
                *(parse_address(text) for text in given["listen"]),
            ),
            api_keys=None if keys is None else tuple(key.strip() for key in keys.split(",") if key.strip()),
            log_level=parse_log_level(given["log_level"] or settings.LOG_LEVEL),
            tls_cert=Path(given["tls_cert"]) if given["tls_cert"] else None,
            tls_key=Path(given["tls_key"]) if given["tls_key"] else None,
            reload=given["reload"],
        )
        options.refuse_bad_tls()
        return options

    @property
    def scheme(self) -> str:
        return "https" if self.tls_cert else "http"

    def refuse_bad_tls(self) -> None:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise Refused("--tls-cert and --tls-key are refused alone: give both or none")
        if self.tls_cert is None or self.tls_key is None:
            return
        for option, path in (("--tls-cert", self.tls_cert), ("--tls-key", self.tls_key)):
            refuse_unreadable(option, path)
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.tls_cert, self.tls_key)
        except OSError as error:  # ssl.SSLError is one
            raise Refused(f"--tls-cert={self.tls_cert} with --tls-key={self.tls_key} is refused: {error}") from error

    def apply(self) -> None:
        """Write what the command line says into the settings; children inherit them by fork."""
        settings.LOG_LEVEL = self.log_level
        # The web's application sets logging up once more.
        settings.LOGGING |= {"root": {"handlers": ["stderr"], "level": self.log_level.upper()}}
        logging.getLogger().setLevel(self.log_level.upper())
        if self.api_keys is not None:
            settings.API_KEYS = list(self.api_keys)
            settings.HAS_API_KEYS_VARIABLE = True
        if self.tls_cert is not None:
            settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True


def refuse_unreadable(option: str, path: Path) -> None:
    try:
        path.read_bytes()
    except OSError as error:
        raise Refused(
            f"{option}={str(path)!r} is refused: it must be a file that can be read; {error.strerror}"
        ) from error


def parse_address(text: str) -> tuple[str, int]:
    """`HOST:PORT` or `[IPv6]:PORT`."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host:
        raise Refused(f"--listen={text!r} is refused: it must be HOST:PORT, for example 0.0.0.0:5000")
    return host, parse_port("--listen", port)


def parse_port(option: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65535):
        raise Refused(f"{option}={text!r} is refused: a port is a whole number from 1 to 65535")
    return int(text)


def parse_log_level(text: str) -> str:
    """`trace` is `debug`: what uvicorn says beyond it are headers, and keys stand in headers."""
    if text not in settings.LOG_LEVELS:
        raise Refused(f"--log-level={text!r} is refused: it must be one of {', '.join(settings.LOG_LEVELS)}")
    return text.replace("trace", "debug")
