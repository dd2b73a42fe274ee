"""Tables that were read, kept in this process while they fit, and extended by what a run has logged since."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mlserver.prepared import Prepared
from training.models import MetricGroup
from training.tracking.metrics.groups import Selection, groups_of, read_groups
from training.tracking.metrics.table import Table, extended, table_of

ROWS = Prepared(lambda run_id: MetricGroup.objects.filter(run_id=run_id, stream="").values_list("pk", "rows"))
MAX_BYTES, MAX_ENTRIES, IDLE_S = 64 * 1024**2, 100, 3600.0


@dataclass
class Entry:
    """`rows` of each group that are in the table."""

    table: Table
    rows: Mapping[int, int]
    used_at: float


@dataclass(frozen=True)
class Statistics:
    """Of this process. hits: nothing was read; incremental: only new chunks were; misses: all was."""

    size: int
    max_size: int
    size_bytes: int
    max_bytes: int
    hits: int
    misses: int
    incremental: int

    @property
    def hit_rate(self) -> float:
        """Share of all reads, 0 to 1; 0 before the first."""
        return self.hits / (self._reads or 1)

    @property
    def incremental_rate(self) -> float:
        return self.incremental / (self._reads or 1)

    @property
    def _reads(self) -> int:
        return self.hits + self.misses + self.incremental


class TableCache:
    """The whole tables of the runs read last; bounded in bytes, in number and in time without a reader.

    Safe in several threads: two that read one run at once may both read it, and keep one of the two tables.
    """

    def __init__(
        self, max_bytes: int = MAX_BYTES, *, max_entries: int = MAX_ENTRIES, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.max_bytes = max_bytes
        self.max_entries = max_entries
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._hits = self._misses = self._incremental = 0

    def get(self, run_id: str) -> Table | None:
        """The table of a run as the database has it now; None when it is too large to be kept."""
        rows: dict[int, int] = dict(ROWS.rows(run_id))
        entry = self._find(run_id)
        if entry is not None and entry.rows == rows:
            self._count(hits=1)
            return entry.table
        groups = groups_of(run_id)
        size_bytes = sum(group.size_bytes for group in groups)
        if size_bytes > self.max_bytes:
            self._count(misses=1)
            return None
        is_known = entry is not None and all(rows.get(pk, 0) >= count for pk, count in entry.rows.items())
        if entry is not None and is_known:
            self._count(incremental=1)
            table = extended(entry.table, read_groups(run_id, groups, Selection(since=entry.rows)))
        else:
            self._count(misses=1)
            self._make_room(run_id, size_bytes)
            table = table_of(read_groups(run_id, groups, Selection()))
        self._keep(run_id, Entry(table, {group.pk: group.rows for group in groups}, self._clock()))
        return table

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()
            self._hits = self._misses = self._incremental = 0

    def statistics(self) -> Statistics:
        with self._lock:
            self._evict()
            return Statistics(
                len(self._entries), self.max_entries, self._size_bytes(), self.max_bytes,
                self._hits, self._misses, self._incremental,
            )  # fmt: skip

    def _find(self, run_id: str) -> Entry | None:
        with self._lock:
            entry = self._entries.get(run_id)
            if entry is not None:
                entry.used_at = self._clock()
                self._entries.move_to_end(run_id)
            return entry

    def _make_room(self, run_id: str, size_bytes: int) -> None:
        """Before a table is read, so that never more than fits is in memory."""
        with self._lock:
            self._entries.pop(run_id, None)
            self._evict(size_bytes)

    def _keep(self, run_id: str, entry: Entry) -> None:
        with self._lock:
            self._entries[run_id] = entry
            self._entries.move_to_end(run_id)
            self._evict()

    def _evict(self, coming_bytes: int = 0) -> None:
        """Those that nobody has used for long, then the least recently used until the rest fits beside what comes."""
        outdated = self._clock() - IDLE_S
        while self._entries:
            run_id, oldest = next(iter(self._entries.items()))
            is_full = len(self._entries) > self.max_entries or self._size_bytes() + coming_bytes > self.max_bytes
            if oldest.used_at >= outdated and not is_full:
                return
            del self._entries[run_id]

    def _size_bytes(self) -> int:
        return sum(entry.table.size_bytes for entry in self._entries.values())

    def _count(self, *, hits: int = 0, misses: int = 0, incremental: int = 0) -> None:
        with self._lock:
            self._hits += hits
            self._misses += misses
            self._incremental += incremental


cache = TableCache()
