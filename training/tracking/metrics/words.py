"""Strings and booleans as small numbers, a dictionary per run."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from mlserver.prepared import Prepared
from training.models import MetricWord
from training.tracking.metrics.batch import Batch, Floats, Word, digest_of

Objects = npt.NDArray[np.object_]
# Digests in one statement. Fewer are filled up to 1, 2, 4, 8, ...: so few statements serve lists of all lengths.
AT_ONCE = 1024
KNOWN = Prepared(
    lambda run_id, *digests: MetricWord.objects.filter(run_id=run_id, digest__in=digests).values_list("digest", "code")
)


def codes_of(run_id: str, batches: Iterable[Batch]) -> dict[str, int]:
    """Digest -> code of every word in `batches`; new words get the next codes. Call it with the run locked."""
    words = {digest_of(word): word for batch in batches for word in said_in(batch)}
    if not words:
        return {}
    codes = known(run_id, list(words))
    new = [digest for digest in words if digest not in codes]
    if new:
        begin = MetricWord.objects.filter(run_id=run_id).count()
        codes |= {digest: begin + at for at, digest in enumerate(new)}
        MetricWord.objects.bulk_create(
            MetricWord(run_id=run_id, code=codes[digest], value=words[digest], digest=digest) for digest in new
        )
    return codes


def known(run_id: str, digests: list[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for at in range(0, len(digests), AT_ONCE):
        some = digests[at : at + AT_ONCE]
        filling = some[-1:] * ((1 << (len(some) - 1).bit_length()) - len(some))
        found.update(KNOWN.rows(run_id, *some, *filling))
    return found


def said_in(batch: Batch) -> set[Word]:
    return {word for column in batch.words.values() for word in column if word is not None}


def encoded(column: Iterable[Word | None], codes: dict[str, int]) -> Floats:
    """Codes of a column (n,), NaN for None."""
    memo: dict[Word | None, float] = {None: np.nan}
    found = []
    for word in column:
        if word not in memo:
            memo[word] = codes[digest_of(word)]
        found.append(memo[word])
    return np.array(found, dtype=np.float64)


def dictionary(run_id: str) -> Objects:
    """The words of a run by their codes, and None as the last: what NaN decodes to."""
    rows = MetricWord.objects.filter(run_id=run_id).order_by("code").values_list("value", flat=True)
    return np.array([*rows, None], dtype=object)


def decoded(codes: Floats, words: Objects) -> Objects:
    """The words (n,) of a column of codes."""
    last = len(words) - 1
    found: Objects = words[np.where(np.isnan(codes), last, codes).astype(np.int64)]
    return found
