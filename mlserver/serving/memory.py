"""What the C library does with memory that was freed."""

import ctypes

# malloc.h of glibc.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
LARGE_BYTES = 4 * 1024**2
HEAPS = 2


def give_memory_back() -> None:
    """Call it before threads start. Without glibc nothing happens.

    Large arrays go back to the system when they are freed, and threads share two heaps: by itself glibc learns to keep
    what is freed, up to 32 MiB in a piece, in a heap for each thread. Reading large runs left some 70 MiB there.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
        mallopt(M_TRIM_THRESHOLD, LARGE_BYTES)
        mallopt(M_ARENA_MAX, HEAPS)
