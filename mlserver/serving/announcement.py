"""The lines that `serve` prints when it is up."""

import socket

from django.conf import settings

from mlserver.accounts.bootstrap import Credentials, Passwordless
from mlserver.serving.addresses import is_loopback
from mlserver.serving.options import Options
from mlserver.version import VERSION

WILDCARDS = ("0.0.0.0", "::", "")


def announcement(options: Options, listeners: list[socket.socket], made: Credentials | Passwordless | None) -> str:
    """URLs; a warning when keys would cross the network in clear; the first credentials, or how to get a password."""
    urls = [url_of(options.scheme, host, port) for host, port in options.addresses]
    lines = [
        f"mlserver {VERSION} is up, its state is in {settings.MLSERVER_HOME}",
        f"  dashboard   {urls[0]}/",
        f"  API docs    {urls[0]}/docs",
        f"  admin       {urls[0]}/admin/",
        *(f"  also at     {url}/" for url in urls[1:]),
    ]
    if options.tls_cert is None and not all(map(is_loopback, listeners)):
        lines.append("warning: listening beyond this machine without TLS, keys and passwords can be read on the way")
    if isinstance(made, Passwordless):
        lines.append(f"nobody has a password for /admin/ yet: `manage.py changepassword {made.username}` gives one")
    elif made is not None:
        lines += [
            f"first start: these are shown once, and kept in {made.path}",
            f"  user        {made.username}",
            f"  password    {made.password}",
            f"  API key     {made.key}",
        ]
    return "\n".join(lines)


def url_of(scheme: str, host: str, port: int) -> str:
    name = socket.gethostname() if host in WILDCARDS else host
    return f"{scheme}://{f'[{name}]' if ':' in name else name}:{port}"
