"""`manage.py serve`: starts, watches and stops the web server, the qcluster and the agent of one home."""


class Refused(Exception):
    """The server cannot start; the message is the one line that says why."""
