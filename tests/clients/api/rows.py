"""A server over real HTTP that gives prepared answers, and remembers what it was asked."""

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit


@dataclass
class Asked:
    method: str
    path: str
    query: dict[str, str]
    body: Any
    headers: dict[str, str]


@dataclass
class Given:
    """`body` as JSON, or bytes as they are; `cut` bytes fewer are sent than announced."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: int = 0


class RowsServer:
    """`rows`: by `METHOD /path`, an answer or a list of answers of which the last stays."""

    def __init__(self) -> None:
        self.rows: dict[str, Any] = {"GET /api/health": {"status": "ok"}}
        self.asked: list[Asked] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *_: Any) -> None:
                pass

            def answer(self) -> None:
                parts = urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                asked = json.loads(body) if body else None
                server.asked.append(
                    Asked(self.command, parts.path, dict(parse_qsl(parts.query)), asked, dict(self.headers))
                )
                self.give(server.answer_of(f"{self.command} {parts.path}"))

            do_GET = do_POST = do_PUT = do_DELETE = answer

            def give(self, answer: Given) -> None:
                content = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[: len(content) - answer.cut])
                if answer.cut:
                    self.close_connection = True

        self._listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._listener.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._listener.server_address[1]}"
        threading.Thread(target=lambda: self._listener.serve_forever(0.01), daemon=True).start()

    def answer_of(self, row: str) -> Given:
        prepared = self.rows.get(row, Given({"detail": f"no row {row}"}, 404))
        if isinstance(prepared, list) and prepared and isinstance(prepared[0], Given):
            prepared = prepared.pop(0) if len(prepared) > 1 else prepared[0]
        return prepared if isinstance(prepared, Given) else Given(prepared)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown()
        self._listener.server_close()
