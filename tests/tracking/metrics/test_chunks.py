"""Which chunks are merged, and how large they become."""

import pytest

from training.tracking.metrics import chunks

KIB = 1024


@pytest.mark.parametrize(
    ("newest_first", "added", "count"),
    [
        ([], 1, 0),
        ([10], 1, 1),
        ([63 * KIB], 1, 1),
        ([64 * KIB], 1, 0),
        ([64 * KIB], 32 * KIB, 1),
        ([10, 64 * KIB, 128 * KIB], 32 * KIB, 3),
        ([10, 200 * KIB], 32 * KIB, 1),
        ([200 * KIB, 10], 32 * KIB, 0),
        ([3000 * KIB], 2000 * KIB, 0),
        ([60 * KIB], 4090 * KIB, 0),
        ([2000 * KIB], 2000 * KIB, 1),
    ],
)
def test_it_merges_what_is_small_or_not_much_larger(newest_first: list[int], added: int, count: int) -> None:
    assert chunks.merged_with(newest_first, added) == count


@pytest.mark.parametrize("added", [32, 3 * KIB, 50 * KIB, 500 * KIB])
def test_chunks_stay_few_and_rewriting_stays_cheap(added: int) -> None:
    sizes: list[int] = []
    written, total = 0, 64 * 1024 * KIB if added > KIB else 2 * 1024 * KIB
    for _ in range(total // added):
        count = chunks.merged_with(sizes[::-1], added)
        merged = added + sum(sizes[len(sizes) - count :])
        sizes[len(sizes) - count :] = [merged]
        written += merged
    assert max(sizes) <= chunks.MOST_BYTES
    assert len(sizes) <= 2 * total / chunks.MOST_BYTES + 10
    # A small append rewrites about half of SMALL_BYTES; a large one its logarithm.
    assert written / (total // added) <= chunks.SMALL_BYTES + 16 * added
