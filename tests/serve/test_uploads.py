"""Streamed bodies of the ASGI application by its protocol: who reads them, when, and what is left of them."""

import asyncio
import threading
from collections.abc import Callable, Iterable
from typing import Any

import orjson
import pytest
from django.http import HttpResponse

from mlserver.api import uploads
from mlserver.api.uploads import PIECE_BYTES, UploadResponse
from mlserver.errors import Conflict, Invalid, OutOfSpace
from mlserver.serving import checking, feeding, request_body
from mlserver.serving.application import Application
from tests.serve.asking import WITHIN_S, Client, answering, run

LIMIT = 64 * PIECE_BYTES
CHUNK = b"x" * (PIECE_BYTES // 4)


class Keeping:
    """Keeps what it is given; `fails` is raised by the step of that name, `user` is whose upload is checked."""

    def __init__(self, user: int | None = None, **fails: Exception) -> None:
        self.checked_for = user
        self.pieces: list[int] = []
        self.threads: set[str] = set()
        self.fails = fails
        self.is_aborted = threading.Event()
        self.may_write = threading.Event()
        self.may_write.set()
        self.is_writing = threading.Event()
        self.may_check, self.is_checking = threading.Event(), threading.Event()
        self.may_finish, self.is_finishing = threading.Event(), threading.Event()
        self.may_finish.set()

    def write(self, data: bytes) -> None:
        self.is_writing.set()
        self.may_write.wait(WITHIN_S)
        self.threads.add(threading.current_thread().name.partition("_")[0])
        self.pieces.append(len(data))
        self.fail("write")

    def check(self) -> None:
        self.threads.add(threading.current_thread().name.partition("_")[0])
        self.is_checking.set()
        self.may_check.wait(WITHIN_S)
        self.fail("check")

    def finish(self) -> HttpResponse:
        self.is_finishing.set()
        self.may_finish.wait(WITHIN_S)
        self.threads.add(threading.current_thread().name.partition("_")[0])
        self.fail("finish")
        return HttpResponse(b"%d" % sum(self.pieces), content_type="text/plain", status=201)

    def abort(self) -> None:
        self.is_aborted.set()

    def fail(self, step: str) -> None:
        if step in self.fails:
            raise self.fails[step]


def upload_path(view: Callable[[dict[str, Any]], Any], limit: int = LIMIT) -> Application:
    """Streams the bodies of POST."""
    return answering(view, upload_limit=lambda scope: limit if scope["method"] == "POST" else None)


def taking(receiver: Keeping, limit: int = LIMIT, **headers: str) -> Application:
    return upload_path(lambda environ: UploadResponse(receiver, headers=headers), limit)


def poster(chunks: Iterable[bytes] = (), **headers: str) -> Client:
    client = Client("POST", headers=list(headers.items()) or [("Transfer-Encoding", "chunked")], body=chunks)
    client.scope["path"] = "/api/v1/models"
    return client


class Hesitating(Client):
    """Sends nothing but what the test gives it."""

    def __init__(self) -> None:
        super().__init__("POST", headers=[("Transfer-Encoding", "chunked")])
        self.scope["path"] = "/api/v1/models"
        self.messages.get_nowait()

    def give(self, chunk: bytes, *, more: bool = True) -> None:
        self.messages.put_nowait({"type": "http.request", "body": chunk, "more_body": more})


def test_it_gives_a_body_to_the_receiver_in_pieces_and_answers_what_that_says() -> None:
    async def test() -> None:
        receiver = Keeping()
        client = await poster([CHUNK] * 10).ask(taking(receiver, **{"Access-Control-Allow-Origin": "*"}))
        assert (client.status, client.body) == (201, b"%d" % (10 * len(CHUNK)))
        assert client.headers[b"content-type"] == b"text/plain"
        assert client.headers[b"content-length"] == b"7"
        assert client.headers[b"access-control-allow-origin"] == b"*"
        assert uploads.HEADER.lower().encode() not in client.headers
        assert receiver.pieces == [PIECE_BYTES, PIECE_BYTES, PIECE_BYTES // 2]
        assert receiver.threads == {"upload", "publish"}
        assert not receiver.is_aborted.is_set()

    run(test)


def test_an_empty_body_is_finished() -> None:
    async def test() -> None:
        assert (await poster().ask(taking(Keeping()))).body == b"0"

    run(test)


def test_a_body_that_ends_with_a_piece_has_no_empty_one_behind_it() -> None:
    async def test() -> None:
        receiver = Keeping()
        await poster([CHUNK] * 4 + [b""]).ask(taking(receiver))
        assert receiver.pieces == [PIECE_BYTES]

    run(test)


def test_the_view_runs_before_the_body_and_a_refusal_is_sent_without_it() -> None:
    async def test() -> None:
        client = Hesitating()
        answered = asyncio.create_task(client.ask(upload_path(lambda environ: environ[uploads.IS_FED])))
        await client.until_body(b"true")
        assert not client.is_complete
        client.give(b"the rest", more=False)
        await answered
        assert client.is_complete
        assert client.messages.empty()

    run(test)


def test_any_other_body_is_collected_and_never_fed() -> None:
    async def test() -> None:
        client = await Client("PUT", body=[b"x"], headers=[("Content-Length", "1")]).ask(
            upload_path(lambda environ: environ[uploads.IS_FED])
        )
        assert client.body == b"false"

    run(test)


def test_a_header_cannot_pose_as_the_mark_of_a_fed_request() -> None:
    async def test() -> None:
        client = Client("PUT", headers=[(uploads.IS_FED, "1"), ("Content-Length", "0")])
        assert (await client.ask(upload_path(lambda environ: environ[uploads.IS_FED]))).body == b"false"

    run(test)


@pytest.mark.parametrize("step", ["write", "finish"])
@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (Conflict("it is there"), 409, {"detail": "it is there"}),
        (OutOfSpace("the disk is full"), 500, {"detail": "the disk is full"}),
        (Invalid.field("file", "none"), 422, {"detail": "file: none", "errors": {"file": ["none"]}}),
        (RuntimeError("secret"), 500, {"detail": "The server failed on this call; its log says why."}),
    ],
)
def test_what_the_receiver_raises_is_answered_and_it_is_aborted(
    step: str, error: Exception, status: int, said: dict[str, Any]
) -> None:
    async def test() -> None:
        receiver = Keeping(**{step: error})
        client = await poster([CHUNK] * 10).ask(taking(receiver, Vary="Origin"))
        assert (client.status, orjson.loads(client.body)) == (status, said)
        assert client.headers[b"vary"] == b"Origin"
        assert client.is_complete
        assert receiver.is_aborted.wait(WITHIN_S)

    run(test)


def test_returns_413_when_a_chunked_body_grows_too_large() -> None:
    async def test() -> None:
        receiver = Keeping()
        client = await poster([CHUNK] * 20).ask(taking(receiver, limit=2 * PIECE_BYTES))
        assert client.status == 413
        assert str(2 * PIECE_BYTES) in orjson.loads(client.body)["detail"]
        assert sum(receiver.pieces) <= 2 * PIECE_BYTES
        assert receiver.is_aborted.wait(WITHIN_S)

    run(test)


def test_returns_408_when_a_body_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_body, "MOVES_WITHIN_S", 0.05)

    async def test() -> None:
        client, receiver = Hesitating(), Keeping()
        client.give(b"begun")
        await client.ask(taking(receiver))
        assert (client.status, client.headers[b"connection"]) == (408, b"close")
        assert receiver.is_aborted.wait(WITHIN_S)

    run(test)


def test_a_client_that_leaves_has_its_upload_aborted_and_no_answer() -> None:
    async def test() -> None:
        client, receiver = Hesitating(), Keeping()
        client.give(CHUNK * 4)
        client.leave()
        assert (await client.ask(taking(receiver))).got == []
        assert receiver.is_aborted.wait(WITHIN_S)

    run(test)


def test_a_server_that_stops_says_so_and_aborts() -> None:
    async def test() -> None:
        client, receiver = Hesitating(), Keeping()
        served = taking(receiver)
        client.give(CHUNK * 4)
        answered = asyncio.create_task(client.ask(served))
        client.give(CHUNK * 4)
        await asyncio.to_thread(receiver.is_writing.wait, WITHIN_S)
        served.end_streams()
        await answered
        assert client.status == 503
        assert b"retry-after" in client.headers
        assert receiver.is_aborted.wait(WITHIN_S)

    run(test)


def test_abort_waits_for_the_piece_that_is_being_written() -> None:
    async def test() -> None:
        client, receiver = Hesitating(), Keeping()
        receiver.may_write.clear()
        client.give(CHUNK * 4)
        answered = asyncio.create_task(client.ask(taking(receiver)))
        await asyncio.to_thread(receiver.is_writing.wait, WITHIN_S)
        client.leave()
        await answered
        assert not receiver.is_aborted.is_set()
        receiver.may_write.set()
        assert receiver.is_aborted.wait(WITHIN_S)

    run(test)


def test_slow_clients_hold_no_thread() -> None:
    """Fifty of them, one thread for views, two for files."""

    async def test() -> None:
        receivers = iter([Keeping() for _ in range(51)])
        served = upload_path(lambda environ: UploadResponse(next(receivers)) if environ[uploads.IS_FED] else "plain")
        slow = [Hesitating() for _ in range(50)]
        for client in slow:
            client.give(CHUNK)
        answers = [asyncio.create_task(client.ask(served)) for client in slow]
        while len(served._feeding._running) < len(slow):
            await asyncio.sleep(0)
        assert (await Client().ask(served)).body == b'"plain"'
        assert (await poster([CHUNK] * 8).ask(served)).body == b"%d" % (8 * len(CHUNK))
        for client in slow:
            client.give(b"", more=False)
        await asyncio.gather(*answers)
        assert {client.body for client in slow} == {b"%d" % len(CHUNK)}

    run(test)


def test_a_slow_disk_holds_up_no_plain_request_and_the_body_waits_outside() -> None:
    async def test() -> None:
        receiver = Keeping()
        receiver.may_write.clear()
        served = upload_path(lambda environ: UploadResponse(receiver) if environ[uploads.IS_FED] else "plain")
        client = Hesitating()
        for _ in range(100):
            client.give(CHUNK)
        answered = asyncio.create_task(client.ask(served))
        await asyncio.to_thread(receiver.is_writing.wait, WITHIN_S)
        assert (await Client().ask(served)).body == b'"plain"'
        # One piece is being written, one is gathered; the rest was not taken.
        assert client.messages.qsize() == 100 - 8
        receiver.may_write.set()
        client.give(b"", more=False)
        await answered
        assert client.status == 201

    run(test)


def test_returns_503_when_too_many_uploads_are_on_their_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeding, "MOST_UPLOADS", 0)

    async def test() -> None:
        receiver = Keeping()
        client = await poster([CHUNK]).ask(taking(receiver))
        assert (client.status, client.headers[b"retry-after"]) == (503, b"5")
        assert receiver.pieces == []

    run(test)


def test_checks_hold_up_no_upload_without_one_and_no_abort() -> None:
    """Three users' checks, more than run at once."""

    async def test() -> None:
        checked = [Keeping(user) for user in range(3)]
        plain, leaving = Keeping(), Keeping()
        receivers = iter([*checked, plain, leaving])
        served = upload_path(lambda environ: UploadResponse(next(receivers)))
        answers = [asyncio.create_task(poster([CHUNK]).ask(served)) for _ in checked]
        for receiver in checked[:2]:
            await asyncio.to_thread(receiver.is_checking.wait, WITHIN_S)
        assert (await poster([CHUNK]).ask(served)).status == 201
        client = Hesitating()
        client.give(CHUNK)
        client.leave()
        await client.ask(served)
        assert leaving.is_aborted.wait(WITHIN_S)
        for receiver in checked:
            receiver.may_check.set()
        await asyncio.gather(*answers)
        assert [receiver.threads for receiver in checked] == [{"upload", "check", "publish"}] * 3
        assert plain.threads == {"upload", "publish"}

    run(test)


def test_of_one_user_one_check_runs_and_the_next_waits_while_another_user_is_served() -> None:
    async def test() -> None:
        first, second, other = Keeping(1), Keeping(1), Keeping(2)
        receivers = iter([first, second, other])
        served = upload_path(lambda environ: UploadResponse(next(receivers)))
        answers = [asyncio.create_task(poster([CHUNK]).ask(served))]
        await asyncio.to_thread(first.is_checking.wait, WITHIN_S)
        answers.append(asyncio.create_task(poster([CHUNK]).ask(served)))
        while served._feeding._checking._lines[1].length < 2:
            await asyncio.sleep(0)
        other.may_check.set()
        assert (await poster([CHUNK]).ask(served)).status == 201
        assert not second.is_checking.is_set()
        first.may_check.set()
        second.may_check.set()
        assert [client.status for client in await asyncio.gather(*answers)] == [201, 201]
        assert served._feeding._checking._lines == {}

    run(test)


def test_uploads_that_wait_for_their_check_take_no_place_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeding, "MOST_UPLOADS", 1)

    async def test() -> None:
        checked = Keeping(1)
        receivers = iter([checked, Keeping()])
        served = upload_path(lambda environ: UploadResponse(next(receivers)))
        answered = asyncio.create_task(poster([CHUNK]).ask(served))
        await asyncio.to_thread(checked.is_checking.wait, WITHIN_S)
        assert (await poster([CHUNK]).ask(served)).status == 201
        checked.may_check.set()
        await answered

    run(test)


def test_returns_503_when_too_many_of_one_user_wait_for_their_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "MOST_IN_LINE", 1)

    async def test() -> None:
        first, second = Keeping(1), Keeping(1)
        receivers = iter([first, second])
        served = upload_path(lambda environ: UploadResponse(next(receivers)))
        answered = asyncio.create_task(poster([CHUNK]).ask(served))
        await asyncio.to_thread(first.is_checking.wait, WITHIN_S)
        client = await poster([CHUNK]).ask(served)
        assert (client.status, client.headers[b"retry-after"]) == (503, b"5")
        assert "wait for their check" in orjson.loads(client.body)["detail"]
        assert second.is_aborted.wait(WITHIN_S)
        first.may_check.set()
        assert (await answered).status == 201

    run(test)


def test_a_server_that_stops_ends_a_check_and_waits_for_what_is_being_published() -> None:
    async def test() -> None:
        checked, published = Keeping(1), Keeping()
        published.may_finish.clear()
        receivers = iter([checked, published])
        served = upload_path(lambda environ: UploadResponse(next(receivers)))
        asked = asyncio.create_task(poster([CHUNK]).ask(served))
        await asyncio.to_thread(checked.is_checking.wait, WITHIN_S)
        publishing = asyncio.create_task(poster([CHUNK]).ask(served))
        await asyncio.to_thread(published.is_finishing.wait, WITHIN_S)

        served.end_streams()
        client = await asked
        assert (client.status, b"nothing of the upload was kept" in client.body) == (503, True)
        assert not checked.is_aborted.is_set()
        checked.may_check.set()
        assert checked.is_aborted.wait(WITHIN_S)
        assert not checked.is_finishing.is_set()
        published.may_finish.set()
        assert (await publishing).status == 201
        assert not published.is_aborted.is_set()

    run(test)


def test_a_response_that_is_never_sent_is_forgotten() -> None:
    response = UploadResponse(Keeping())
    token = response[uploads.HEADER]
    assert token in uploads._open
    del response
    assert uploads.take(token) is None
