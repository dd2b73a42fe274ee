"""Whether the web process still answers: one HTTP request every few seconds from the loop of `serve`, never waiting."""

import contextlib
import select
import socket
import ssl
import time
from collections.abc import Callable, Generator

EVERY_S = 5.0
# Longer than two waits for a database that is locked or away, which hold up the requests behind them.
STALE_AFTER_S = 25.0

NOT_YET = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class WebPulse:
    """Asks `listener`, where the web process accepts; `host` is a name that it answers to.

    Only silence counts. Any answer shows that the process lives, and so does a connection that is refused or broken.
    """

    def __init__(
        self, listener: socket.socket, host: str, *, is_tls: bool = False, every_s: float = EVERY_S,
        stale_after_s: float = STALE_AFTER_S,
    ) -> None:  # fmt: skip
        self.complaint = f"the web process answered nothing for {stale_after_s:g} s, ending it"
        self._family, self._address = listener.family, listener.getsockname()
        self._request = f"GET /health HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
        self._tls = _trusting_context() if is_tls else None
        self._every_s, self._stale_after_s = every_s, stale_after_s
        self._asking: Generator[None] | None = None
        self._asked_at = 0.0
        self._next_at = 0.0

    def is_stuck(self) -> bool:
        """Goes on with the request under way, or begins the next; call about every second."""
        now = time.monotonic()
        if self._asking is None and now >= self._next_at:
            self._asking, self._asked_at, self._next_at = self._ask(), now, now + self._every_s
        if self._asking is not None and next(self._asking, "answered") == "answered":
            self._asking = None
        return self._asking is not None and now - self._asked_at > self._stale_after_s

    def forget(self) -> None:
        """A new web process gets the whole time again."""
        if self._asking is not None:
            self._asking.close()
        self._asking, self._next_at = None, time.monotonic() + self._every_s

    def _ask(self) -> Generator[None]:
        """Yields as long as it would have to wait."""
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            link = stack.enter_context(socket.socket(self._family, socket.SOCK_STREAM))
            link.setblocking(False)
            link.connect_ex(self._address)
            while not _is_connected(link):
                yield
            if self._tls is not None:
                tls_link = stack.enter_context(self._tls.wrap_socket(link, do_handshake_on_connect=False))
                yield from _until_done(tls_link.do_handshake)
                link = tls_link
            yield from _until_done(lambda: link.send(self._request))
            yield from _until_done(lambda: link.recv(1))


def _until_done(step: Callable[[], object]) -> Generator[None]:
    while True:
        try:
            step()
        except NOT_YET:
            yield
        else:
            return


def _is_connected(link: socket.socket) -> bool:
    """Or failed, which the next step tells."""
    poll = select.poll()
    poll.register(link, select.POLLOUT)
    return bool(poll.poll(0))


def _trusting_context() -> ssl.SSLContext:
    """It talks to this machine only, whose certificate names another host and may be of any authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
