"""How far a run was delivered, in a small file beside its spool.

A batch is noted, with its number and its stretch of the spool, before it is sent: whoever goes on after a crash sends
the same bytes under the same number, and the server, which counts the numbers, takes them once.
"""

import json
import os
from itertools import count, takewhile
from pathlib import Path
from typing import Any, NamedTuple

NAME = "delivery.jsonl"


class Batch(NamedTuple):
    """Bytes [start, end) of the spool."""

    seq: int
    start: int
    end: int


class Journal:
    """One process writes it at a time (the delivery's lock); each note is one write at the end of the file.

    Raises OSError when a note cannot be written: then nothing may be sent.
    """

    def __init__(self, run_dir: Path) -> None:
        self._path = run_dir / NAME
        self.has_begun = False
        self.log_offset = 0
        # Digests of the small files as they were sent.
        self.digests: dict[str, str] = {}
        self.is_finished = False
        self.media: set[str] = set()
        self._batches: dict[int, Batch] = {}
        self.seq, self.start = 0, 0
        self._load()

    def _load(self) -> None:
        try:
            lines = self._path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return
        for line in lines:
            try:
                note = json.loads(line)
            except ValueError:  # a torn note, of a full disk
                continue
            self._take(note)
        if self._batches:  # the last may have been taken in or not: it is sent again, and the server knows
            last = self._batches[max(self._batches)]
            self.seq, self.start = last.seq, last.start
            if self.is_finished:
                self.confirm(last)

    def _take(self, note: dict[str, Any]) -> None:
        match note:
            case {"seq": int(seq), "start": int(start), "end": int(end)}:
                for later in list(takewhile(self._batches.__contains__, count(seq + 1))):
                    del self._batches[later]  # their borders were those of the batch as it was before
                self._batches[seq] = Batch(seq, start, end)
                self.is_finished = False  # a run that was taken up again
            case {"log": int(offset)}:
                self.log_offset = offset
            case {"file": str(name), "digest": str(digest)}:
                self.digests[name] = digest
            case {"media": str(name)}:
                self.media.add(name)
            case {"begun": True}:
                self.has_begun = True
            case {"finished": True}:
                self.is_finished = True

    def _note(self, note: dict[str, Any]) -> None:
        line = (json.dumps(note) + "\n").encode()
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            if os.write(descriptor, line) != len(line):
                raise OSError(f"{self._path} could not be written whole")
        finally:
            os.close(descriptor)
        self._take(note)

    def next_batch(self) -> Batch | None:
        """The noted batch that is next, None when a new one is to be cut at `start`."""
        return self._batches.get(self.seq)

    def note_batch(self, end: int) -> Batch:
        """The next batch reaches to `end`; a noted one may be cut anew as long as the server has not taken it."""
        batch = Batch(self.seq, self.start, end)
        self._note(batch._asdict())
        return batch

    def confirm(self, batch: Batch) -> None:
        """The server has it. Not written: the note of the next batch says so, or it is asked again."""
        self.seq, self.start = batch.seq + 1, batch.end

    def skip(self, batch: Batch) -> None:
        """The server will never take it: what follows goes under its number."""
        del self._batches[batch.seq]
        self.start = batch.end

    def move_to(self, seq: int) -> None:
        """The server wants the batch `seq`: back to where it began, as far as it is known.

        A number that was never noted means that the notes were lost: what follows is sent under it.
        """
        if seq in self._batches:
            self.seq, self.start = seq, self._batches[seq].start
        elif seq - 1 in self._batches:
            self.confirm(self._batches[seq - 1])
        elif seq == 0:
            self.seq, self.start = 0, 0
        else:
            self.seq = seq

    def start_over(self) -> None:
        """The server has forgotten the run: everything is sent again, in the batches of before."""
        self.move_to(0)
        self.log_offset, self.is_finished = 0, False
        self.digests.clear()
        self.media.clear()

    def note_begun(self) -> None:
        self._note({"begun": True})

    def note_log(self, offset: int) -> None:
        self._note({"log": offset})

    def note_file(self, name: str, digest: str) -> None:
        """The small file `name` was sent as it was then."""
        self._note({"file": name, "digest": digest})

    def note_media(self, name: str) -> None:
        self._note({"media": name})

    def note_finished(self) -> None:
        self._note({"finished": True})
