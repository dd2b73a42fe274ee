"""Say once what went wrong: a training goes on whatever happens to its records."""

import logging

LOG = logging.getLogger("mlserver_client")
# What was said, so that a training of a million steps says it once. Bounded: keys may be made of users' names.
MOST_REMEMBERED = 1000
_said: set[str] = set()


def warn_once(about: str, message: str) -> None:
    """Log `message` unless something was said about this already; never raises, in any thread."""
    if about in _said or len(_said) >= MOST_REMEMBERED:
        return
    _said.add(about)
    LOG.warning(message)
