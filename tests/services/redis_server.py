"""A throw-away Redis server."""

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator

import redis

from tests.serving import free_port
from tests.waiting import until


def is_installed() -> bool:
    return shutil.which("redis-server") is not None


class RedisServer:
    """May be stopped and started again on its port, to see what clients do meanwhile."""

    def __init__(self) -> None:
        self._directory = tempfile.mkdtemp(prefix="mlserver-redis-")
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"redis://127.0.0.1:{self._port}/0"

    def start(self) -> None:
        options = ["--port", str(self._port), "--bind", "127.0.0.1", "--save", "", "--dir", self._directory]
        self._process = subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL)
        until(self.answers, what="Redis")

    def answers(self) -> bool:
        with contextlib.suppress(redis.ConnectionError), redis.Redis.from_url(self.url) as client:
            return bool(client.ping())
        return False

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=10)
            self._process = None

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._directory, ignore_errors=True)


@contextlib.contextmanager
def redis_server() -> Iterator[RedisServer]:
    server = RedisServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()
