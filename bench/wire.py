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
        data = self.rest
        while b"\r\n\r\n" not in data:
            data += self._more()
        head, _, body = data.partition(b"\r\n\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        length = int(fields[b"content-length"])
        while len(body) < length:
            body += self._more()
        self.rest = body[length:]
        return int(head.split()[1]), body[:length]

    def _more(self) -> bytes:
        data = self.socket.recv(262144)
        if not data:
            raise ConnectionError("the server closed the connection")
        return data
