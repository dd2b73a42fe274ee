"""One real answer of each row of the Runicorn API.

Each module has CALLS: `"METHOD path as in the schema"` -> a function that makes the call in a world and returns the
answer. A row that none of them has fails tests/api/runicorn/test_recorded_answers.py: add it to the module of its
room, or a new module to ALL.
"""

from tests.api.runicorn.recorded import numbers, runs
from tests.api.runicorn.recorded.world import Call

ALL: dict[str, Call] = {**runs.CALLS, **numbers.CALLS}
