"""TaskSpec: what a submission may say."""

from dataclasses import fields
from typing import Any

import pytest

from mlserver.errors import Invalid
from training.models import Task
from training.queue.spec import RULES, TaskSpec


def clean(**values: object) -> TaskSpec:
    return TaskSpec.clean({"command": ["true"], **values})


def errors_of(**values: object) -> dict[str, list[str]]:
    with pytest.raises(Invalid) as refused:
        clean(**values)
    return refused.value.errors


def deep(levels: int) -> dict[str, Any]:
    return {"in": deep(levels - 1)} if levels > 1 else {}


@pytest.mark.parametrize(
    ("name", "value", "shown", "rule"),
    [
        ("command", [], "[]", "is not a command"),
        ("command", "  ", '"  "', "is not a command"),
        ("command", [""], '[""]', "is not a command"),
        ("command", ["echo", 1], '["echo", 1]', "is not a command"),
        ("command", None, "null", "is not a command"),
        ("command", ["a\0b"], r'"a\u0000b"', "without NUL"),
        ("command", ["a", "\udcff"], r'"\udcff"', "Unicode text"),
        ("command", "x" * 131_073, "...", "at most 131072 characters"),
        ("name", 7, "7", "text of at most 255 characters"),
        ("name", "n" * 256, "...", "text of at most 255 characters"),
        ("name", "a\0", r'"a\u0000"', "without NUL"),
        ("name", "\udcff", r'"\udcff"', "Unicode text"),
        ("project", "", '""', "is not a name"),
        ("project", "../etc", '"../etc"', "without '..', '/' and '\\'"),
        ("project", "a\nb", r'"a\nb"', "printable"),
        ("cwd", "work/here", '"work/here"', "is not an absolute path"),
        ("env", ["A=1"], '["A=1"]', "is not an object of at most 1000 variables"),
        ("env", {"A": 1}, "the value of A, 1, is not", "Unicode text"),
        ("env", {"A=B": "1"}, '"A=B"', "without '='"),
        ("env", {"": "1"}, '""', "is not the name of a variable"),
        ("env", {"A": "\0"}, r'"\u0000"', "without NUL"),
        ("env", {"A": "\udcff"}, r'"\udcff"', "Unicode text"),
        ("env", {"MLSERVER_RUN_ID": "x"}, '"MLSERVER_RUN_ID"', "is reserved"),
        ("config", [1], "[1]", "is not an object of JSON values"),
        ("config", {1: 2}, '{"1": 2}', "is not an object of JSON values"),
        ("config", {"lr": float("nan")}, "NaN", "finite numbers"),
        ("config", {"a": [{"b": "\0"}]}, r'"\u0000"', "without NUL"),
        ("config", {"a": 2**64}, str(2**64), "is not an object of JSON values"),
        ("config", {"a": {1, 2}}, "{1, 2}", "is not an object of JSON values"),
        ("config", deep(51), "...", "at most 50 levels deep"),
        ("gpus", -1, "-1", "whole number from 0 to 1024"),
        ("gpus", 1.5, "1.5", "whole number"),
        ("gpus", True, "true", "whole number"),
        ("gpus", "2", '"2"', "whole number"),
        ("gpus", float("inf"), "Infinity", "whole number"),
        ("gpu_memory_mib", 0, "0", "from 1 to 10000000"),
        ("exclusive", 1, "1", "is not true or false"),
        ("cpus", 4097, "4097", "from 0 to 4096"),
        ("memory_mib", 0, "0", "from 1 to 100000000"),
        ("priority", 101, "101", "from -100 to 100"),
        ("repeat", 0, "0", "from 1 to 10000"),
        ("max_retries", 101, "101", "from 0 to 100"),
        ("backoff_s", 3601, "3601", "number of seconds from 0 to 3600"),
        ("backoff_s", float("nan"), "NaN", "number of seconds"),
        ("backoff_s", True, "true", "number of seconds"),
        ("time_limit_s", 0, "0", "number of seconds from 0.1 to 31622400"),
        ("grace_s", "5", '"5"', "number of seconds from 0 to 3600"),
        ("pool", "a/b", '"a/b"', "is not a name"),
        ("queue", " ", '" "', "is not a name"),
        ("tags", "fast", '"fast"', "is not a list of at most 100 tags"),
        ("tags", [""], '[""]', "1-100 characters"),
        ("tags", ["x"] * 101, "...", "at most 100 tags"),
        ("tags", ["\0"], r'["\u0000"]', "without NUL"),
        ("hold", "yes", '"yes"', "is not true or false"),
    ],
)
def test_it_names_field_value_and_rule_of_what_it_refuses(name: str, value: object, shown: str, rule: str) -> None:
    said = errors_of(**{name: value})
    assert list(said) == [name]
    assert shown in said[name][0]
    assert rule in said[name][0]


def test_every_rule_belongs_to_a_field_and_every_field_to_a_rule() -> None:
    assert set(RULES) | {"is_demo", "is_session", "is_flowline"} == {field.name for field in fields(TaskSpec)}


def test_it_refuses_all_wrong_fields_at_once_in_the_order_of_the_documentation() -> None:
    with pytest.raises(Invalid) as refused:
        TaskSpec.clean({"tags": 1, "gpus": -1, "name": 3})
    assert list(refused.value.errors) == ["command", "name", "gpus", "tags"]
    assert all(f"{name}: " in refused.value.message for name in refused.value.errors)


def test_it_has_defaults_for_all_but_the_command() -> None:
    spec = clean()
    assert (spec.project, spec.pool, spec.queue, spec.repeat, spec.priority) == ("default", "default", "default", 1, 0)
    assert (spec.gpus, spec.cpu_slots, spec.memory_mib, spec.time_limit_s, spec.hold) == (0, 1, None, None, False)


def test_it_ignores_fields_it_does_not_know() -> None:
    assert clean(colour="blue", is_demo=True) == clean()


def test_it_takes_whole_numbers_written_as_floats() -> None:
    assert clean(gpus=2.0).gpus == 2
    assert isinstance(clean(gpus=2.0).gpus, int)


def test_it_keeps_each_tag_once_in_order() -> None:
    assert clean(tags=["b", "a", "b"]).tags == ["b", "a"]


def test_it_takes_configurations_fifty_levels_deep() -> None:
    config = deep(50) | {"π": [None, True, 1.5, -(2**63), 2**64 - 1, ""]}
    assert clean(config=config).config == config


@pytest.mark.parametrize(
    ("values", "field", "rule"),
    [
        ({"gpu_memory_mib": 100}, "gpu_memory_mib", "needs gpus of at least 1, not 0"),
        ({"gpus": 1, "exclusive": False}, "gpu_memory_mib", "is required when exclusive is false"),
        ({"cpus": 0}, "cpus", "0 is not allowed without GPUs"),
    ],
)
def test_it_refuses_fields_that_contradict_one_another(values: dict[str, object], field: str, rule: str) -> None:
    assert rule in errors_of(**values)[field][0]


def test_it_says_all_contradictions_at_once() -> None:
    assert set(errors_of(gpu_memory_mib=100, cpus=0)) == {"gpu_memory_mib", "cpus"}


@pytest.mark.parametrize(
    ("values", "is_exclusive"),
    [
        ({"gpus": 1}, True),
        ({"gpus": 1, "gpu_memory_mib": 100}, False),
        ({"gpus": 1, "gpu_memory_mib": 100, "exclusive": True}, True),
        ({"gpus": 1, "gpu_memory_mib": 100, "exclusive": False}, False),
    ],
)
def test_it_shares_gpus_when_it_names_memory(values: dict[str, object], is_exclusive: bool) -> None:
    assert clean(**values).is_exclusive is is_exclusive


@pytest.mark.parametrize(
    ("values", "slots"), [({}, 1), ({"gpus": 1}, 0), ({"gpus": 1, "cpus": 3}, 3), ({"cpus": 2}, 2)]
)
def test_it_takes_cpu_slots_where_no_gpu_bounds_it(values: dict[str, object], slots: int) -> None:
    assert clean(**values).cpu_slots == slots


def test_the_demonstration_takes_no_cpu_slot() -> None:
    assert TaskSpec(command=["true"], is_demo=True).cpu_slots == 0


def test_its_columns_are_columns_of_a_task() -> None:
    columns = clean(repeat=3, hold=True, exclusive=True).task_fields()
    assert columns.keys() <= {field.name for field in Task._meta.get_fields()}
    assert (columns["pending_runs"], columns["repeat"]) == (3, 3)
