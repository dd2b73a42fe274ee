"""One record of a run as one line of JSON in ASCII, fast: a call of `log` is to cost microseconds.

NaN and infinity stand bare, as Python's own json writes them and the server reads them.
"""

import json
import json.encoder
import math
from collections.abc import Callable, Mapping
from typing import Any

from mlserver_client.warn import warn_once

# Of a record the library fills these itself; what data says under these names is left out.
RESERVED = frozenset({"step", "global_step", "stage", "time"})


def plain(value: Any) -> Any:
    """What JSON can say of a scalar of numpy, torch or the like; raises what its conversion raises, or TypeError."""
    item = getattr(value, "item", None)
    if item is not None:
        converted = item()
        if isinstance(converted, int | float | str):
            return converted
    elif hasattr(value, "__float__"):
        return float(value)
    raise TypeError(f"{type(value).__name__} is not a number, text, true or false")


def compiled_encoder() -> Callable[[Any], str]:
    """The C encoder that json uses inside, made once instead of at each call; json itself where it has none."""
    try:
        encode = json.encoder.c_make_encoder(  # type: ignore[attr-defined]  # private, hence the fallback
            None, plain, json.encoder.encode_basestring_ascii, None, ": ", ", ", False, True, True
        )
        if "".join(encode({"a": 1.5}, 0)) == '{"a": 1.5}':
            return lambda value: "".join(encode(value, 0))
    except (AttributeError, TypeError):
        pass
    return json.JSONEncoder(default=plain, skipkeys=True).encode


_encode = compiled_encoder()


def metrics_line(data: Mapping[str, Any], step: int, now: float, stage: Any = None) -> str:
    """A record of type `metrics`, with its newline. Values that no record can hold are left out, with one warning."""
    try:
        body = _encode(data)[1:]
    except Exception:  # noqa: BLE001 - values are the user's objects: converting them may raise anything
        data = keepable(data)
        body = _encode(data)[1:]
    if stage is not None:
        body = f', "stage": {json.dumps(str(stage))}{", " if len(body) > 1 else ""}{body}'
    elif len(body) > 1:
        body = f", {body}"
    at = repr(now)  # once: a tenth of the whole call
    return f'{{"ts": {at}, "type": "metrics", "data": {{"global_step": {step}, "time": {at}{body}}}\n'


def image_line(data: Mapping[str, Any], now: float) -> str:
    return f'{{"ts": {now!r}, "type": "image", "data": {_encode(data)}}}\n'


def keepable(data: Mapping[str, Any]) -> dict[str, Any]:
    """The part of `data` that can be encoded."""
    kept = {}
    for name, value in data.items():
        try:
            _encode({name: value})
        except Exception as error:  # noqa: BLE001 - as above
            warn_once(f"value {name}", f"{name!r} is not logged: {type(error).__name__}: {error}"[:300])
        else:
            kept[name] = value
    return kept


def number(value: Any) -> float | None:
    """`value` as a number to compare, None when it is none or not finite."""
    found = as_float(value)
    return found if found is not None and math.isfinite(found) else None


def as_float(value: Any) -> float | None:
    """None for what is no number."""
    if type(value) is float:
        return value
    if isinstance(value, bool | str) or value is None:
        return None
    try:
        return float(value)
    except Exception:  # noqa: BLE001 - as above
        return None
