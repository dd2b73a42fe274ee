"""Logs of runs: the text a program wrote (`logs.txt`) seen through the supervisor's index (`logs.idx`)."""

from training.tracking.logs.following import FollowedLog, Pace, follow
from training.tracking.logs.lines import Line, rotated_away
from training.tracking.logs.news import aside, watched
from training.tracking.logs.reader import MAX_LINES, Page, from_offset, start_of_tail, tail, time_at
from training.tracking.logs.selection import Selection, Stream

__all__ = [
    "MAX_LINES", "FollowedLog", "Line", "Pace", "Page", "Selection", "Stream",
    "aside", "follow", "from_offset", "rotated_away", "start_of_tail", "tail", "time_at", "watched",
]  # fmt: skip
