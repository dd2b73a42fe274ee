"""A keep-alive HTTP client that costs microseconds, so what is measured is the server."""

import json
import socket
from typing import Any


class Wire:
    """One connection; requests one after the other."""

    def __init__(self, port: int, key: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.head = f"Host: 127.0.0.1:{port}\r\nAuthorization: Bearer {key}\r\nAccept: application/json\r\n"
        self.rest = b""

    def get(self, path: str) -> tuple[int, bytes]:
        """Status and body."""
        self.socket.sendall(f"GET {path} HTTP/1.1\r\n{self.head}\r\n".encode())
        return self._answer()

    def post(self, path: str, body: Any) -> tuple[int, bytes]:
        """`body` is sent as JSON; bytes are JSON already."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        about = f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
        self.socket.sendall(f"POST {path} HTTP/1.1\r\n{self.head}{about}\r\n".encode() + content)
        return self._answer()

    def _answer(self) -> tuple[int, bytes]:
        head = self._until(b"\r\n\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        length = fields.get(b"content-length")
        return int(head.split()[1]), self._chunks() if length is None else self._bytes(int(length))

    def _chunks(self) -> bytes:
        parts = []
        while size := int(self._until(b"\r\n"), 16):
            parts.append(self._bytes(size + 2)[:-2])
        self._until(b"\r\n")
        return b"".join(parts)

    def _until(self, mark: bytes) -> bytes:
        """What comes before the mark; the mark is read over."""
        while mark not in self.rest:
            self.rest += self._more()
        found, _, self.rest = self.rest.partition(mark)
        return found

    def _bytes(self, count: int) -> bytes:
        parts, size = [self.rest], len(self.rest)
        while size < count:
            parts.append(self._more())
            size += len(parts[-1])
        data = b"".join(parts)
        self.rest = data[count:]
        return data[:count]

    def _more(self) -> bytes:
        data = self.socket.recv(262144)
        if not data:
            raise ConnectionError("the server closed the connection")
        return data
