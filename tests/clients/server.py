"""A server over real HTTP that speaks the rows which the SDK sends to (N6-N8, N10, N12), and fails on demand."""

import contextlib
import json
import re
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

KEY = "key-of-this-test"


@dataclass
class StoredRun:
    """What a server would have of one run."""

    begun_with: dict[str, Any]
    next_seq: int = 0
    lines: list[dict[str, Any]] = field(default_factory=list)
    log: bytes = b""
    media: dict[str, bytes] = field(default_factory=dict)
    summary: dict[str, Any] | None = None
    environment: dict[str, Any] | None = None
    resumed_with: list[dict[str, Any]] = field(default_factory=list)
    finished_with: dict[str, Any] | None = None
    beats: int = 0

    def values(self, name: str) -> list[Any]:
        return [line["data"][name] for line in self.lines if name in line["data"]]


class TrackingServer:
    """`failures`: statuses that the next requests are answered with instead; `after_taking`: the same, but only after
    the request was carried out, as when an answer is lost. `slow_s`: each answer takes so long.
    """

    def __init__(self) -> None:
        self.runs: dict[str, StoredRun] = {}
        self.requests: list[tuple[str, str]] = []
        self.failures: list[int] = []
        self.after_taking: list[int] = []
        self.slow_s = 0.0
        self.most_lines = 10_000
        self.lock = threading.Lock()
        self._port = 0
        self.start()

    def start(self) -> None:
        """Also again after `stop`, at the same address."""
        tracking = self

        class Handler(RowHandler):
            server_state = tracking

        class Listener(ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True
            connections: set[Any] = set()

            def process_request(self, request: Any, client_address: Any) -> None:
                self.connections.add(request)
                super().process_request(request, client_address)

        self._listener = Listener(("127.0.0.1", self._port), Handler)
        self._port = self._listener.server_address[1]
        threading.Thread(target=lambda: self._listener.serve_forever(0.01), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def env(self) -> dict[str, str]:
        return {"MLSERVER_URL": self.url, "MLSERVER_API_KEY": KEY}

    def stop(self) -> None:
        self._listener.shutdown()
        self._listener.server_close()
        for connection in list(self._listener.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(2)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def run(self) -> StoredRun:
        (run,) = self.runs.values()
        return run


class RowHandler(BaseHTTPRequestHandler):
    disable_nagle_algorithm = True
    protocol_version = "HTTP/1.1"
    server_state: TrackingServer

    def log_message(self, *_: Any) -> None:
        pass

    def handle_any(self) -> None:
        state = self.server_state
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if len(body) < length:  # its client died while it sent this: like the real server, take nothing of it
            self.close_connection = True
            return None
        time.sleep(state.slow_s)
        with state.lock:
            state.requests.append((self.command, self.path))
            if state.failures:
                return self.answer(state.failures.pop(0), {"detail": "fails on demand"})
            if self.headers.get("Authorization") != f"Bearer {KEY}":
                return self.answer(401, {"detail": "no such key"})
            status, said = self.carry_out(urlsplit(self.path).path, body)
            if state.after_taking:
                return self.answer(state.after_taking.pop(0), {"detail": "fails after it was taken"})
        return self.answer(status, said)

    do_GET = do_POST = do_PUT = handle_any

    def answer(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        if status == 429:
            self.send_header("Retry-After", "1")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def carry_out(self, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        if (self.command, path) == ("POST", "/api/v1/runs"):
            return self.begin(json.loads(body))
        found = re.fullmatch(r"/api/v1/runs/(\w+)/(metrics|logs|media|summary|environment|heartbeat|finish)", path)
        if found is None:
            return 404, {"detail": "no such path"}
        run = self.server_state.runs.get(found[1])
        if run is None:
            return 404, {"detail": f"run {found[1]} does not exist"}
        return getattr(self, f"take_{found[2]}")(run, body)

    def begin(self, given: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        known = self.server_state.runs.get(given["id"])
        if known is not None and given.get("resume"):
            known.resumed_with.append(given)
            return 200, {"id": given["id"], "next_seq": known.next_seq}
        if known is not None:
            return 409, {"detail": f"run {given['id']} exists already"}
        self.server_state.runs[given["id"]] = StoredRun(given)
        return 201, {"id": given["id"], "next_seq": 0}

    def take_metrics(self, run: StoredRun, body: bytes) -> tuple[int, dict[str, Any]]:
        assert self.headers["Content-Type"] == "application/x-ndjson"
        seq = int(parse_qs(urlsplit(self.path).query)["seq"][0])
        lines = body.splitlines()
        if len(lines) > self.server_state.most_lines:
            return 413, {"detail": "too many rows"}
        if seq > run.next_seq:
            said = f"{seq} leaves a gap: the next batch of run {run.begun_with['id']} is number {run.next_seq}"
            return 409, {"detail": f"seq: {said}", "errors": {"seq": [said]}}
        is_duplicate = seq < run.next_seq
        if not is_duplicate:
            run.lines += [json.loads(line) for line in lines]
            run.next_seq += 1
        return 200, {"accepted": len(lines), "next_seq": run.next_seq, "duplicate": is_duplicate}

    def take_logs(self, run: StoredRun, body: bytes) -> tuple[int, dict[str, Any]]:
        if int(self.headers["Upload-Offset"]) != len(run.log):
            return 409, {"detail": f"offset {len(run.log)} is expected", "offset": len(run.log)}
        run.log += body
        return 200, {"offset": len(run.log)}

    def take_media(self, run: StoredRun, body: bytes) -> tuple[int, dict[str, Any]]:
        head, _, rest = body.partition(b'filename="')
        assert b'name="key"' in head
        name, _, rest = rest.partition(b'"')
        content = rest.partition(b"\r\n\r\n")[2].rpartition(b"\r\n--")[0]
        run.media[name.decode()] = content
        return 201, {"name": name.decode()}

    def take_summary(self, run: StoredRun, body: bytes) -> tuple[int, dict[str, Any]]:
        run.summary = json.loads(body, parse_constant=lambda word: 1 / 0)
        return 200, {}

    def take_environment(self, run: StoredRun, body: bytes) -> tuple[int, dict[str, Any]]:
        run.environment = json.loads(body)
        return 200, {}

    def take_heartbeat(self, run: StoredRun, body: bytes) -> tuple[int, dict[str, Any]]:
        run.beats += 1
        return 200, {}

    def take_finish(self, run: StoredRun, body: bytes) -> tuple[int, dict[str, Any]]:
        run.finished_with = json.loads(body)
        return 200, {}
