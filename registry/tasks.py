"""What the qcluster runs for the registry: one service call, a short string out; safe to repeat."""

from registry import upkeep as keeping


def upkeep() -> str:
    return str(keeping.upkeep())
