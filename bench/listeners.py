"""Many clients of logs and terminals in one process that costs little: they read, and throw away what they read.

`python -m bench.listeners PORT RUNS TERMINAL_URLS FOLLOWERS`: prints one line when all are connected and have heard
something, and ends when its standard input does.
"""

import asyncio
import base64
import sys
from collections.abc import Awaitable

from tests.serving import KEY

PER_ADDRESS = 10  # what R10 lets one address have
TYPE_EVERY_S = 2.0
PING = b"\x89\x04"


async def main(port: int, runs: list[str], urls: list[str], followers: int) -> None:
    paths = [f"/api/v1/runs/{runs[number % len(runs)]}/logs?follow=1" for number in range(followers // 2)]
    sockets = [f"/api/runs/{runs[number % len(runs)]}/logs/ws" for number in range(followers - len(paths))]
    clients: list[Awaitable[asyncio.Task[None]]] = [listening(port, path, 0, b"event: line") for path in paths]
    clients += [listening(port, path, number // PER_ADDRESS, b"\x81") for number, path in enumerate(sockets)]
    clients += [typing(port, url.partition("/webterminal/")[2]) for url in urls]
    reading = []
    for start in range(0, len(clients), 20):
        reading += await asyncio.gather(*clients[start : start + 20])
    print(f"{len(reading)} are listening", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    ended = [task.get_name() for task in reading if task.done()]
    assert not ended, f"{len(ended)} connections have ended: {ended[:3]}"
    for task in reading:
        task.cancel()


async def listening(port: int, path: str, address: int, first: bytes) -> "asyncio.Task[None]":
    reader, writer = await connected(port, path, address, is_socket=path.endswith("/ws"))
    await heard(reader, first)
    return asyncio.create_task(drained(reader, writer), name=path)


async def typing(port: int, token: str) -> "asyncio.Task[None]":
    reader, writer = await connected(port, f"/webterminal/{token}", 0, is_socket=True)
    await heard(reader, b"\x82")

    async def type_on() -> None:
        reading = asyncio.create_task(drained(reader, writer))
        while not reading.done():
            writer.write(frame(b"date\n"))
            await asyncio.sleep(TYPE_EVERY_S)

    return asyncio.create_task(type_on(), name="a terminal")


async def connected(
    port: int, path: str, address: int, *, is_socket: bool
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    here = (f"127.0.0.{address + 1}", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=here)
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: {KEY}\r\n"
    if is_socket:
        nonce = base64.b64encode(bytes(16)).decode()
        head += f"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: {nonce}\r\n"
        head += "Sec-WebSocket-Version: 13\r\n"
    writer.write(f"{head}\r\n".encode())
    answer = await reader.readuntil(b"\r\n\r\n")
    assert answer.split()[1] in (b"101", b"200"), answer
    return reader, writer


async def heard(reader: asyncio.StreamReader, first: bytes) -> None:
    said = b""
    while first not in said:
        block = await reader.read(4096)
        assert block, "the server ended the connection"
        said += block


async def drained(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers pings, so as not to be dropped."""
    while block := await reader.read(65536):
        at = block.find(PING)
        if at >= 0:
            writer.write(b"\x8a\x84" + bytes(4) + block[at + 2 : at + 6])


def frame(text: bytes) -> bytes:
    """A masked text frame of fewer than 126 bytes; the mask is zero."""
    return bytes((0x81, 0x80 | len(text))) + bytes(4) + text


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2].split(","), sys.argv[3].split(","), int(sys.argv[4])))
