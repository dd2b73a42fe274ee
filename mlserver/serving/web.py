"""The web child: uvicorn on sockets that `serve` bound."""

import contextlib
import logging
import resource
import signal
import socket
from collections.abc import Iterator

import uvicorn

from mlserver.asgi import application
from mlserver.serving.memory import give_memory_back
from mlserver.serving.options import Options
from mlserver.serving.protocol import Protocol
from mlserver.serving.socket_protocol import SocketProtocol

GRACE_S = 1
# Longer than clients keep an idle connection, so the server is not the one to close it under their next request.
KEEP_ALIVE_S = 75
# Beyond as many connections (followers are one each) or requests at once, the answer is 503.
MOST_CONNECTIONS = 2048
# What a client of a WebSocket may send at once, and how often it must show that it is there.
LARGEST_FRAME_BYTES = 1024**2
PING_EVERY_S = 30.0
# Files that are no connections: the database, logs, static files on their way, two for each terminal.
OTHER_FILES = 384


class WebServer(uvicorn.Server):
    """Stops on SIGTERM only: a terminal's Ctrl-C reaches every process, and `serve` says when to stop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        signal.signal(signal.SIGTERM, self.handle_exit)
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        application.end_streams()
        await super().shutdown(sockets)


def raise_file_limit() -> int:
    """Room for MOST_CONNECTIONS if the system allows it; how many connections there is room for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_CONNECTIONS + OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return MOST_CONNECTIONS if soft == resource.RLIM_INFINITY else max(min(MOST_CONNECTIONS, soft - OTHER_FILES), 1)


def run(listeners: list[socket.socket], options: Options) -> None:
    """Until SIGTERM."""
    give_memory_back()
    is_debug = options.log_level == "debug"
    logging.getLogger("uvicorn.error").setLevel(logging.DEBUG if is_debug else logging.WARNING)
    config = uvicorn.Config(
        application,
        interface="asgi3",
        loop="uvloop",
        http=Protocol,
        ws=SocketProtocol,
        ws_max_size=LARGEST_FRAME_BYTES,
        ws_ping_interval=PING_EVERY_S,
        ws_ping_timeout=PING_EVERY_S,
        ws_per_message_deflate=False,  # it would cost each of them some 50 KiB, and time of the event loop
        lifespan="off",
        log_config=None,
        access_log=is_debug,
        server_header=False,
        proxy_headers=False,  # whom to believe is decided in one place, mlserver.accounts.peers
        limit_concurrency=raise_file_limit(),
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
        ssl_certfile=options.tls_cert,
        ssl_keyfile=options.tls_key,
    )
    WebServer(config).run(sockets=listeners)
