"""The web child: uvicorn on sockets that `serve` bound."""

import contextlib
import logging
import signal
import socket
from collections.abc import Iterator

import uvicorn

from mlserver.asgi import application
from mlserver.serving.options import Options

GRACE_S = 1
# Longer than clients keep an idle connection, so the server is not the one to close it under their next request.
KEEP_ALIVE_S = 75


class WebServer(uvicorn.Server):
    """Stops on SIGTERM only: a terminal's Ctrl-C reaches every process, and `serve` says when to stop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        signal.signal(signal.SIGTERM, self.handle_exit)
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        application.end_streams()
        await super().shutdown(sockets)


def run(listeners: list[socket.socket], options: Options) -> None:
    """Until SIGTERM."""
    is_debug = options.log_level == "debug"
    logging.getLogger("uvicorn.error").setLevel(logging.DEBUG if is_debug else logging.WARNING)
    config = uvicorn.Config(
        application,
        interface="asgi3",
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=is_debug,
        server_header=False,
        proxy_headers=False,  # whom to believe is decided in one place, mlserver.accounts.peers
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
        ssl_certfile=options.tls_cert,
        ssl_keyfile=options.tls_key,
    )
    WebServer(config).run(sockets=listeners)
