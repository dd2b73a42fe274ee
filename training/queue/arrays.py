"""Arrays: one submission makes many tasks, told apart by an index and by the parameters of each."""

import json
import math
import re
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from mlserver.errors import Invalid, shown
from mlserver.text import is_storable
from training.queue.refused import Refused

MOST = 1000
# Characters that all tasks of an array may say together, each for itself: they are made at once.
MOST_CHARACTERS = 32 * 1024**2
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
PLACE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_-]*)\}")
INDEX = "array_index"
Parameters = Mapping[str, Any]
Command = str | list[str]


def array(value: object) -> list[dict[str, Any]]:
    """The parameters of each task: from a number of tasks without any, or a list of objects of scalars."""
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST:
        return [{} for _ in range(value)]
    if isinstance(value, list | tuple) and 1 <= len(value) <= MOST and all(isinstance(one, Mapping) for one in value):
        return [_parameters(one) for one in value]
    raise Refused(f"{shown(value)} is not a number of tasks from 1 to {MOST}, nor a list of 1-{MOST} objects")


def _parameters(values: Parameters) -> dict[str, Any]:
    for name, value in values.items():
        if not NAME.fullmatch(str(name)) or name == INDEX:
            raise Refused(f"{shown(name)} is not the name of a parameter: letters, digits, _ and -, not {INDEX}")
        is_scalar = value is None or isinstance(value, str | int | float)
        if not is_scalar or not is_storable(str(value)) or (isinstance(value, float) and not math.isfinite(value)):
            raise Refused(f"{shown(value)}, parameter {name}, is not text, a finite number, true, false or null")
    return dict(values)


def product(grid: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Every combination, the last name varying fastest."""
    sets: list[dict[str, Any]] = [{}]
    for name, values in grid.items():
        sets = [{**one, name: value} for one in sets for value in values]
    return sets


def check_size(command: Command, env: Mapping[str, str], array: Sequence[Parameters], others: object) -> None:
    """Raises Invalid, before anything is made, where the tasks of an array would say too much together.

    `others` is what each says beside its command and `env`, as values of JSON.
    """
    text = _text_of(command, env)
    places, each = Counter(PLACE.findall(text)), len(text) + len(json.dumps(others))
    size = 0
    for parameters in array:
        lengths = {name: len(shlex.quote(word_of(value))) for name, value in parameters.items()}
        size += each + sum((places[name] + 1) * length for name, length in lengths.items())
        if size > MOST_CHARACTERS:
            raise Invalid.field("array", f"its tasks would have more than {MOST_CHARACTERS} characters together")


def filled(
    command: Command, env: Mapping[str, str], parameters: Parameters, index: int
) -> tuple[Command, dict[str, str]]:
    """`{name}` in the words of the command and in values of `env`, replaced by the parameter of that name.

    Only names of parameters and `{array_index}` are: other braces stay as they are. In a string for the shell the
    value is quoted as one word. A parameter that stands nowhere is given to an array of words as `--name value`.
    Raises Invalid where it stands nowhere and the command is a string.
    """
    texts = {name: word_of(value) for name, value in parameters.items()}
    everywhere = _text_of(command, env)
    unused = [name for name in texts if f"{{{name}}}" not in everywhere]
    if unused and isinstance(command, str):
        raise Invalid.field("array", f"{unused[0]} stands nowhere in the command and env: write {{{unused[0]}}} there")
    known = {**texts, INDEX: str(index)}
    new_env = {name: _replaced(value, known) for name, value in env.items()}
    if isinstance(command, str):
        return _replaced(command, {name: shlex.quote(text) for name, text in known.items()}), new_env
    words = [_replaced(word, known) for word in command]
    return [*words, *(word for name in unused for word in (f"--{name}", texts[name]))], new_env


def _text_of(command: Command, env: Mapping[str, str]) -> str:
    return "\n".join([*([command] if isinstance(command, str) else command), *env.values()])


def word_of(value: object) -> str:
    """A parameter as a word of a command line: text as it is, everything else as JSON writes it."""
    return value if isinstance(value, str) else json.dumps(value)


def _replaced(text: str, known: Mapping[str, str]) -> str:
    return PLACE.sub(lambda found: known.get(found[1], found[0]), text)
