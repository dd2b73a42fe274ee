"""Labels of a submission: keys and values that tasks are found by."""

from collections.abc import Mapping
from typing import Any

from mlserver.errors import shown
from mlserver.text import is_storable
from training.queue.refused import Refused

MAX_LABEL = 256


def label_list(value: object) -> list[dict[str, str]]:
    """A list of `{"key", "value"}`, or an object of text; each key once."""
    pairs = value.items() if isinstance(value, Mapping) else _pairs_of(value)
    clean = {}
    for key, word in pairs:
        if not all(isinstance(part, str) and len(part) <= MAX_LABEL and is_storable(part) for part in (key, word)):
            said = shown({"key": key, "value": word})
            raise Refused(f"{said} is not a label: texts of at most {MAX_LABEL} characters without NUL")
        if not key or key in clean:
            raise Refused(f"{shown(key)} is the key of two labels" if key else "a label has an empty key")
        clean[key] = word
    if len(clean) > 100:
        raise Refused(f"{len(clean)} labels are more than 100")
    return [{"key": key, "value": word} for key, word in clean.items()]


def _pairs_of(value: object) -> list[tuple[Any, Any]]:
    is_list = isinstance(value, list | tuple)
    if not is_list or not all(isinstance(one, Mapping) and {*one} == {"key", "value"} for one in value):  # type: ignore[attr-defined]
        raise Refused(f'{shown(value)} is not a list of labels {{"key": text, "value": text}}, nor an object of texts')
    return [(one["key"], one["value"]) for one in value]  # type: ignore[attr-defined]
