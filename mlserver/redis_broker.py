"""The django-q2 broker on Redis. A module of its own, so a server without Redis never loads the client."""

import functools
import logging
import time

import redis
from django_q.brokers.redis_broker import Redis
from django_q.conf import Conf
from redis.backoff import NoBackoff
from redis.retry import Retry

from mlserver.queue_broker import back_off

log = logging.getLogger(__name__)


class RedisBroker(Redis):  # type: ignore[misc]  # django-q2 has no types
    """A Redis list is the queue. BLPOP wakes at once; what a killed worker held is lost and asked for again."""

    def __init__(self, list_key: str | None = None) -> None:
        super().__init__(list_key)
        self._pauses = back_off()

    @staticmethod
    def get_connection(list_key: str | None = None) -> "redis.Redis":
        """One client for the process: django-q2 makes a broker for every task that is queued."""
        return client(Conf.REDIS)

    def enqueue(self, task: str) -> int:
        """Length of the queue; raises ConnectionError (an OSError) when Redis is away."""
        try:
            length: int = super().enqueue(task)
        except redis.RedisError as error:
            raise ConnectionError(f"Redis: {error}") from error
        return length

    def dequeue(self) -> list[tuple[None, bytes]] | None:
        """One task, or None after a second; never raises while Redis is away."""
        try:
            tasks: list[tuple[None, bytes]] | None = super().dequeue()
        except (redis.RedisError, OSError) as error:
            pause_s = next(self._pauses)
            log.warning("the queue cannot be read, looking again in %.1f s: %s", pause_s, error)
            time.sleep(pause_s)
            return None
        self._pauses = back_off()
        return tasks

    def release_claims(self) -> int:
        """Nothing to free: what was popped is gone, and the agent asks again."""
        return 0


def check(url: str) -> None:
    """Raises OSError unless a Redis at `url` takes our commands now, ValueError when `url` says what it cannot mean.

    Leaves no connection open.
    """
    try:
        client(url).ping()
    except redis.RedisError as error:
        raise ConnectionError(str(error)) from error
    finally:
        client(url).close()


@functools.cache
def client(url: str) -> "redis.Redis":
    """Retries once at once (a connection the server closed); longer waits are the callers' business."""
    return redis.Redis.from_url(url, socket_connect_timeout=2, socket_timeout=5, retry=Retry(NoBackoff(), 1))
