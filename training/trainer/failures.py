"""Why a training failed, as one sentence that says what to do."""

import errno

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Failure(Exception):
    """`kind`: nan, out_of_memory, data or error."""

    def __init__(self, kind: str, sentence: str) -> None:
        super().__init__(sentence)
        self.kind = kind


def explain(error: Exception) -> Failure:
    """Also of errors that nobody foresaw; those are of kind `error`."""
    if isinstance(error, Failure):
        return error
    if is_out_of_memory(error):
        where = "" if is_from_cpu(error) else "CUDA "
        return Failure("out_of_memory", f"{where}out of memory: use a smaller batch_size ({first_line(error)})")
    if isinstance(error, RuntimeError) and "DataLoader worker" in str(error):  # raised by torch at any line
        return Failure("data", f"a process that reads samples died: {first_line(error)}")
    if isinstance(error, OSError) and error.errno in NO_SPACE:
        return Failure("error", f"no space left: {error.strerror}: {error.filename or 'unknown file'}")
    return Failure("error", f"{type(error).__name__}: {first_line(error)}")


def is_out_of_memory(error: Exception) -> bool:
    # Not by class: this module does without torch. Libraries under torch raise plain RuntimeErrors.
    names = ("CUDA out of memory", "can't allocate memory", "ALLOC_FAILED")
    is_class = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return is_class or (isinstance(error, RuntimeError) and any(name in str(error) for name in names))


def is_from_cpu(error: Exception) -> bool:
    return isinstance(error, MemoryError) or "can't allocate memory" in str(error)


def reason(error: Exception) -> str:
    """Without the path: readers of a training's log have no use for where the server keeps its files."""
    return (error.strerror if isinstance(error, OSError) else None) or first_line(error)


def first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else "no further text"
