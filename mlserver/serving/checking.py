"""Checks of whole uploads, which may take a minute each, in threads that nothing else needs."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from mlserver.errors import Unavailable

# Each is a process that keeps a core busy; the others are for those who only ask.
CHECKERS = 2
# Of one user: each keeps a connection and a file open.
MOST_IN_LINE = 16


class Checking:
    """Of one user one check runs at a time: who sends many waits for his own, others hardly for him."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(CHECKERS, thread_name_prefix="check")
        self._lines: dict[int, _Line] = {}

    async def run(self, check: Callable[[], None], user: int) -> None:
        """When it is this user's turn. Raises what `check` raises, and Unavailable when the line is too long."""
        line = self._lines.setdefault(user, _Line())
        if line.length >= MOST_IN_LINE:
            raise Unavailable(f"{MOST_IN_LINE} uploads of yours wait for their check; send this one when some are done")
        line.length += 1
        try:
            async with line.turn:
                await asyncio.get_running_loop().run_in_executor(self._threads, check)
        finally:
            line.length -= 1
            if not line.length:
                del self._lines[user]


class _Line:
    """Of one user: how many checks wait or run, and whose turn it is."""

    def __init__(self) -> None:
        self.length = 0
        self.turn = asyncio.Lock()
