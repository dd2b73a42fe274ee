"""The small JSON files of a run directory: which have changed since they were read, and what they say now."""

import os
from dataclasses import dataclass, field
from typing import Any

from mlserver.errors import Invalid
from training import paths
from training.tracking.job_files import NOT_A_FILE, opened_at
from training.tracking.spool import parsed
from training.tracking.told import cleaned

META, ENVIRONMENT, DELETED = "meta.json", "environment.json", ".deleted"
STATUS, SUMMARY = paths.STATUS_NAME, paths.SUMMARY_NAME
DOCUMENTS = (META, STATUS, SUMMARY, ENVIRONMENT, DELETED)
MOST_BYTES = 1024**2
LOG_NAME = paths.log_name(0)
Document = dict[str, Any]


@dataclass
class News:
    """`said`: what the files say that are new or changed; `gone`: those that were there; `damaged`: no JSON objects.

    `seen` is to be kept, and given to the next reading: a damaged file is not in it, so it is read again.
    """

    said: dict[str, Document] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    damaged: list[str] = field(default_factory=list)
    seen: dict[str, list[int]] = field(default_factory=dict)
    written_at: float = 0.0  # the newest of all files, seconds since 1970
    events_bytes: int | None = None
    has_log: bool = False

    @property
    def is_run(self) -> bool:
        """Anything at all of what a run leaves."""
        return bool(self.seen or self.damaged or self.has_log) or self.events_bytes is not None

    @property
    def is_new(self) -> bool:
        return bool(self.said or self.gone)


def read_news(folder: int, seen: dict[str, list[int]]) -> News:
    """What the open `folder` has to say beyond what was `seen` there; looks at each file, reads the changed ones."""
    news = News()
    for name in DOCUMENTS:
        facts = facts_of(folder, name)
        if facts is None:
            if name in seen:
                news.gone.add(name)
            continue
        news.written_at = max(news.written_at, facts.st_mtime)
        state = [facts.st_mtime_ns, facts.st_size]
        if seen.get(name) == state:
            news.seen[name] = state
        elif (document := read_document(folder, name)) is not None:
            news.said[name], news.seen[name] = document, state
        else:
            news.damaged.append(name)
    if (facts := facts_of(folder, paths.EVENTS_NAME)) is not None:
        news.events_bytes, news.written_at = facts.st_size, max(news.written_at, facts.st_mtime)
    if (facts := facts_of(folder, LOG_NAME)) is not None:
        news.has_log, news.written_at = True, max(news.written_at, facts.st_mtime)
    return news


def facts_of(folder: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError as error:
        if error.errno in NOT_A_FILE:
            return None
        raise


def read_document(folder: int, name: str, most_bytes: int = MOST_BYTES) -> Document | None:
    """The object in a file, fit for every database; None for what is none, or half written, or too large."""
    with opened_at(folder, name) as file:
        if file is None or file.size > most_bytes:
            return None
        text = file.read(0, most_bytes)
    try:
        return cleaned(document) if (document := parsed(text)) is not None else None
    except Invalid:  # nested deeper than anybody reads
        return None
