"""The detached supervisor of one process of a run: standard library only, never Django, never the database.

It starts within some ten milliseconds and stays for days, so it imports little: `_json` and `_signal` are the C parts
of `json` and `signal`, whose Python halves would double its start-up time and memory.
"""
