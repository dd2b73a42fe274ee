"""What came of an import."""

import logging
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from training.tracking.importers.documents import News
from training.tracking.importers.layout import Refused

# Of each reason so many places are named; the rest is counted.
EXAMPLES = 3

log = logging.getLogger(__name__)


class Outcome(StrEnum):
    NEW = "new"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    REFUSED = "refused"


@dataclass
class Report:
    """`files`: small files and spools whose news were taken in; `damaged`: those that hold no JSON object."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[Path]] = field(default_factory=dict)
    points: int = 0
    files: int = 0
    damaged: int = 0

    def count(self, outcome: Outcome) -> Outcome:
        self.outcomes[outcome] += 1
        return outcome

    def refuse(self, refused: Refused) -> Outcome:
        self.reasons[refused.reason] += 1
        examples = self.examples.setdefault(refused.reason, [])
        if len(examples) < EXAMPLES:
            examples.append(refused.path)
        return self.count(Outcome.REFUSED)

    def note(self, path: Path, news: News) -> None:
        self.files += len(news.said)
        self.damaged += len(news.damaged)
        if news.damaged:
            log.warning("%s: %s cannot be read as a JSON object", path, ", ".join(news.damaged))

    @property
    def news(self) -> int:
        return self.outcomes[Outcome.NEW] + self.outcomes[Outcome.UPDATED]

    def summary(self) -> str:
        """`3 runs new, 1 updated, 20 unchanged, 2 refused; 600 points and 14 files taken in`."""
        counts = ", ".join(f"{self.outcomes[outcome]:,} {outcome}" for outcome in Outcome)
        damaged = f"; {self.damaged:,} files are damaged and were left out" if self.damaged else ""
        return f"runs: {counts}; {self.points:,} points and {self.files:,} files taken in{damaged}"

    def refusals(self) -> list[str]:
        """A line for each reason, the most frequent first."""
        return [
            f"refused {count:,}: {reason}: {', '.join(map(str, self.examples[reason]))}"
            + (", ..." if count > len(self.examples[reason]) else "")
            for reason, count in self.reasons.most_common()
        ]
