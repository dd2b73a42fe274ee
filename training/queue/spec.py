"""TaskSpec: what a submission may say, checked once for all doors."""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any

from mlserver.errors import Invalid
from mlserver.errors import shown as shown  # of those who check values by rules of their own
from mlserver.text import is_storable
from training.queue.arrays import array, check_size, filled
from training.queue.labels import label_list
from training.queue.needs import Need, need_list
from training.queue.refused import Refused as Refused

MAX_TEXT = 128 * 1024
MAX_DEPTH = 50
MAX_RANKS = 64
Command = str | list[str]


# The halves of surrogate pairs come from words of a command line that are not UTF-8.
def text(limit: int, *, is_name: bool = False) -> Callable[[object], str]:
    def check(value: object) -> str:
        if not isinstance(value, str) or len(value) > limit or not is_storable(value):
            raise Refused(f"{shown(value)} is not Unicode text of at most {limit} characters without NUL")
        if is_name and (
            not value.strip() or any(word in value for word in ("..", "/", "\\")) or not value.isprintable()
        ):
            raise Refused(f"{shown(value)} is not a name: 1-{limit} printable characters without '..', '/' and '\\'")
        return value

    return check


def whole(low: int, high: int) -> Callable[[object], int]:
    def check(value: object) -> int:
        is_whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        if isinstance(value, bool) or not is_whole or not low <= value <= high:  # type: ignore[operator]
            raise Refused(f"{shown(value)} is not a whole number from {low} to {high}")
        return int(value)  # type: ignore[call-overload, no-any-return]

    return check


def seconds(low: float, high: float) -> Callable[[object], float]:
    def check(value: object) -> float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not is_number or not low <= value <= high:  # type: ignore[operator]
            raise Refused(f"{shown(value)} is not a number of seconds from {low:.15g} to {high:.15g}")
        return float(value)  # type: ignore[arg-type]

    return check


def boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise Refused(f"{shown(value)} is not true or false")
    return value


def command(value: object) -> Command:
    """A non-empty string for the shell, or a list of strings whose first is the program."""
    if isinstance(value, str) and value.strip() and len(value) <= MAX_TEXT and is_storable(value):
        return value
    if isinstance(value, list | tuple) and value and all(isinstance(word, str) for word in value):
        words = [str(word) for word in value]
        if words[0] and all(map(is_storable, words)) and sum(map(len, words)) <= MAX_TEXT:
            return words
    raise Refused(
        f"{shown(value)} is not a command: a non-empty list of strings (program and arguments) "
        f"or a non-empty string for the shell, at most {MAX_TEXT} characters of Unicode text without NUL"
    )


def directory(value: object) -> str:
    path = text(4096)(value)
    if path and not PurePosixPath(path).is_absolute():
        raise Refused(f"{shown(value)} is not an absolute path")
    return path


def environment(value: object) -> dict[str, str]:
    if not isinstance(value, Mapping) or len(value) > 1000:
        raise Refused(f"{shown(value)} is not an object of at most 1000 variables, names and their values")
    for name, word in value.items():
        if not isinstance(name, str) or not name or "=" in name or not is_storable(name):
            raise Refused(f"{shown(name)} is not the name of a variable: Unicode text without '=' and NUL")
        if not isinstance(word, str) or not is_storable(word):
            raise Refused(f"the value of {name}, {shown(word)}, is not Unicode text without NUL")
        if name.startswith("MLSERVER_"):
            raise Refused(f"{shown(name)} is reserved: names that start with MLSERVER_ are set by the server")
    return dict(value)


def mapping(value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not is_json(value, MAX_DEPTH):
        raise Refused(
            f"{shown(value)} is not an object of JSON values: Unicode text without NUL, finite numbers, "
            f"at most {MAX_DEPTH} levels deep"
        )
    return dict(value)


def is_json(value: object, levels: int) -> bool:
    """Can every door answer this value and every database store it?"""
    if isinstance(value, str):
        return is_storable(value)
    if isinstance(value, Mapping):
        names = all(isinstance(name, str) and is_storable(name) for name in value)
        return levels > 0 and names and all(is_json(part, levels - 1) for part in value.values())
    if isinstance(value, list | tuple):
        return levels > 0 and all(is_json(part, levels - 1) for part in value)
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or (isinstance(value, int) and -(2**63) <= value < 2**64)


def tag_list(value: object) -> list[str]:
    is_list = isinstance(value, list | tuple) and len(value) <= 100
    if not is_list or not all(
        isinstance(tag, str) and 0 < len(tag) <= 100 and is_storable(tag)
        for tag in value  # type: ignore[attr-defined]
    ):
        raise Refused(f"{shown(value)} is not a list of at most 100 tags of 1-100 characters without NUL")
    return list(dict.fromkeys(value))  # type: ignore[call-overload]


def optional(check: Callable[[object], Any]) -> Callable[[object], Any]:
    return lambda value: None if value is None else check(value)


RULES: dict[str, Callable[[object], Any]] = {
    "command": command,
    "name": text(255),
    "project": text(100, is_name=True),
    "cwd": directory,
    "env": environment,
    "config": mapping,
    "gpus": whole(0, 1024),
    "gpu_memory_mib": optional(whole(1, 10_000_000)),
    "exclusive": optional(boolean),
    "cpus": optional(whole(0, 4096)),
    "memory_mib": optional(whole(1, 100_000_000)),
    "ranks": whole(1, MAX_RANKS),
    "priority": whole(-100, 100),
    "repeat": whole(1, 10_000),
    "max_retries": whole(0, 100),
    # Task.retry_later doubles it up to an hour; more would be taken and not kept.
    "backoff_s": seconds(0, 3600),
    "time_limit_s": optional(seconds(0.1, 366 * 86_400)),
    "grace_s": seconds(0, 3600),
    "pool": text(64, is_name=True),
    "queue": text(64, is_name=True),
    "tags": tag_list,
    "labels": label_list,
    "description": text(10_000),
    "depends_on": need_list,
    "array": array,
    "hold": boolean,
}


def checked(
    data: Mapping[str, object],
    rules: Mapping[str, Callable[[object], Any]] = RULES,
    *,
    required: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any]:
    """The known fields of `data`, each by its rule; raises Invalid with every refused field at once.

    `required` maps fields that may not be missing to what the error says of them.
    """
    clean: dict[str, Any] = {}
    errors = {name: [said] for name, said in required.items() if name not in data}
    for name in (name for name in rules if name in data):
        try:
            clean[name] = rules[name](data[name])
        except Refused as refusal:
            errors[name] = [str(refusal)]
    if errors:
        raise Invalid.fields(errors)
    return clean


@dataclass(frozen=True, kw_only=True)
class TaskSpec:
    """A checked submission. `exclusive` and `cpus` of None mean: as the other fields suggest."""

    command: Command
    name: str = ""
    project: str = "default"
    cwd: str = ""
    env: dict[str, str] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    gpus: int = 0
    gpu_memory_mib: int | None = None
    exclusive: bool | None = None
    cpus: int | None = None
    memory_mib: int | None = None
    ranks: int = 1
    priority: int = 0
    repeat: int = 1
    max_retries: int = 0
    backoff_s: float = 10
    time_limit_s: float | None = None
    grace_s: float = 10
    pool: str = "default"
    queue: str = "default"
    tags: list[str] = field(default_factory=list)
    labels: list[dict[str, str]] = field(default_factory=list)
    description: str = ""
    depends_on: list[Need] = field(default_factory=list)
    array: list[dict[str, Any]] | None = None
    hold: bool = False
    is_demo: bool = False
    is_session: bool = False
    is_flowline: bool = False
    """Shares GPUs by the rules of FlowLine, whatever memory it says it needs."""

    @classmethod
    def clean(cls, data: Mapping[str, object]) -> "TaskSpec":
        """Unknown fields are ignored; raises Invalid with every refused field."""
        spec = cls(**checked(data, required={"command": "is required: a list of strings or a string for the shell"}))
        spec.check_together()
        return spec

    def check_together(self) -> None:
        """Raises Invalid where fields that are each allowed contradict one another."""
        errors: dict[str, list[str]] = {}
        if self.gpus == 0 and self.gpu_memory_mib is not None:
            errors["gpu_memory_mib"] = [f"{self.gpu_memory_mib} needs gpus of at least 1, not 0"]
        if self.exclusive is False and self.gpus and self.gpu_memory_mib is None and not self.is_flowline:
            errors["gpu_memory_mib"] = ["is required when exclusive is false: sharing needs the memory to reserve"]
        if self.gpus == 0 and self.cpus == 0 and not self.is_demo:
            errors["cpus"] = ["0 is not allowed without GPUs: a task takes at least one CPU slot or one GPU"]
        if errors:
            raise Invalid.fields(errors)

    @property
    def is_exclusive(self) -> bool:
        """A task that names its GPU memory shares, unless it says otherwise."""
        return self.exclusive if self.exclusive is not None else self.gpu_memory_mib is None

    @property
    def cpu_slots(self) -> int:
        """CPU slots bound tasks without GPUs; a GPU task takes the ones it asks for."""
        if self.cpus is not None:
            return self.cpus
        return 0 if self.gpus or self.is_demo else 1

    def members(self) -> list["TaskSpec"]:
        """One spec per task of its array, in order; else itself alone. Parameters come into command, env and config.

        Raises Invalid when a parameter stands nowhere in a command for the shell, and for too much text.
        """
        if self.array is None:
            return [self]
        check_size(self.command, self.env, self.array, [self.config, self.labels, self.tags, self.description])
        made = []
        for index, parameters in enumerate(self.array):
            command, env = filled(self.command, self.env, parameters, index)
            made.append(
                replace(self, array=[parameters], command=command, env=env, config={**self.config, **parameters})
            )
        return made

    def task_fields(self) -> dict[str, Any]:
        """Values of the Task columns."""
        values = asdict(self)
        for name in ("exclusive", "cpus", "hold", "is_flowline", "depends_on", "array"):
            del values[name]
        return {
            **values,
            "is_exclusive": self.is_exclusive,
            "cpus": self.cpu_slots,
            "pending_runs": self.repeat,
        }
