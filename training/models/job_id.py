"""Public names of tasks and arrays, for doors that do not count."""

import secrets
import string

LETTERS = string.ascii_lowercase + string.digits
JOB_ID = "job-[a-z0-9]{12}"


def new_job_id() -> str:
    """`job-` and 62 random bits."""
    return f"job-{_random()}"


def new_array_id() -> str:
    return f"array-{_random()}"


def _random() -> str:
    return "".join(secrets.choice(LETTERS) for _ in range(12))
