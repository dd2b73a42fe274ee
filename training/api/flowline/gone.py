"""The answer to a kill: written when the processes are gone, by a coroutine that holds no thread."""

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from mlserver.api.streams import Send
from training import paths
from training.api.native.log_events import final_status
from training.execution.control import Control, ranks_of

LATEST_S = 8.0
LOOK_EVERY_S = 0.05

_lookers = ThreadPoolExecutor(max_workers=1, thread_name_prefix="killed")


class WhenGone:
    """Each rank of each run leaves an exit record when its last process has ended."""

    def __init__(self, run_ids: Iterable[str]) -> None:
        self._run_ids = list(run_ids)

    async def run(self, send: Send, is_gone: Callable[[], bool]) -> None:
        clock = asyncio.get_running_loop()
        deadline = clock.time() + LATEST_S
        while clock.time() < deadline and not is_gone():
            if await clock.run_in_executor(_lookers, self._have_ended):
                break
            await asyncio.sleep(LOOK_EVERY_S)
        await send(b'{"success":true}')

    def _have_ended(self) -> bool:
        self._run_ids = [it for it in self._run_ids if not has_ended(it)]
        return not self._run_ids


def has_ended(run_id: str) -> bool:
    """All ranks left their records, and the run was settled: what is listed next shows it."""
    if paths.control_dir(run_id).exists() and not all(Control(run_id, it).read("exit") for it in ranks_of(run_id)):
        return False
    return final_status(run_id) is not None
