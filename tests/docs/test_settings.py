"""docs/settings.md names every environment variable that the settings read, with its default and rule."""

import ast
import inspect
import re
from pathlib import Path
from typing import NamedTuple

import pytest
from django.core.management.base import BaseCommand

from mlserver import env, settings
from mlserver.management.commands.serve import Command

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "settings.md").read_text()
TREE = ast.parse((ROOT / "mlserver" / "settings.py").read_text())


class Row(NamedTuple):
    name: str
    default: str
    rule: str
    meaning: str


class Call(NamedTuple):
    """`default` is None where it is computed."""

    reader: str
    name: str
    default: object
    bounds: tuple[int, int] | None
    choices: tuple[str, ...]


ROWS = {cells[0].strip("`"): Row(cells[0].strip("`"), *cells[1:]) for cells in re.findall(
    r"^\| (`[A-Z_]+`) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", PAGE, re.MULTILINE
)}  # fmt: skip


def literal(node: ast.expr) -> object:
    if isinstance(node, ast.Name) and isinstance(words := getattr(settings, node.id, None), tuple):
        return words
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None


def read_by_settings() -> dict[str, Call]:
    calls = {}
    for node in ast.walk(TREE):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or not node.func.id.startswith("env_"):
            continue
        reader = node.func.id
        signature = inspect.signature(getattr(env, reader))
        given = signature.bind(*node.args, **{word.arg: word.value for word in node.keywords if word.arg})
        said = {name: literal(value) for name, value in given.arguments.items()}
        defaults = {name: it.default for name, it in signature.parameters.items() if it.default is not it.empty}
        known = {**defaults, **said}
        bounds = (known["at_least"], known["at_most"]) if reader == "env_int" else None
        call = Call(reader, str(known["name"]), known.get("default", ""), bounds, known.get("choices", ()))
        calls[call.name] = call
    return calls


CALLS = read_by_settings()


def test_it_names_what_the_settings_read() -> None:
    assert set(ROWS) == set(CALLS)
    by_hand = {word for word in re.findall(r'"([A-Z_]+)" in os\.environ', (ROOT / "mlserver/settings.py").read_text())}
    assert by_hand <= set(ROWS)


@pytest.mark.parametrize("name", sorted(CALLS))
def test_it_gives_the_default(name: str) -> None:
    default, call = ROWS[name].default, CALLS[name]
    if call.default is None or name in ("API_KEYS", "ALLOWED_HOSTS"):
        assert default.strip("` ") not in ("", "empty")  # computed: said in words
    elif call.default in ("", ()):
        assert default == "empty"
    else:
        plain = int(call.default) if isinstance(call.default, bool) else call.default
        words = plain if isinstance(plain, tuple) else [plain]
        assert default == f"`{','.join(map(str, words))}`"


@pytest.mark.parametrize("name", sorted(CALLS))
def test_it_gives_the_rule(name: str) -> None:
    rule, call = ROWS[name].rule, CALLS[name]
    if call.bounds:
        low, high = call.bounds
        assert rule == (f"{low} or more" if high == 2**31 - 1 else f"{low} to {high}")
    elif call.reader == "env_choices":
        assert rule.startswith("a list of " + ", ".join(f"`{choice}`" for choice in call.choices))
    elif call.choices:
        assert rule == "one of " + ", ".join(f"`{choice}`" for choice in call.choices)
    elif call.reader == "env_bool":
        assert rule == "a switch"
    elif call.reader in ("env_list", "env_networks", "env_hosts", "env_origins", "env_variables"):
        assert rule.startswith("a list")


@pytest.mark.parametrize(
    ("reader", "arguments", "bad"),
    [
        (env.env_int, {"default": 1, "at_least": 1, "at_most": 8}, "9"),
        (env.env_int, {"default": 1}, "1.5"),
        (env.env_bool, {"default": True}, "perhaps"),
        (env.env_choices, {"default": ("a",), "choices": ("a", "b")}, "c"),
        (env.env_choice, {"default": "a", "choices": ("a", "b")}, "c"),
        (env.env_simulated_gpus, {}, "2"),
        (env.env_simulated_gpus, {}, "0x100"),
        (env.env_networks, {}, "10.0.0.1/8"),
        (env.env_hosts, {}, "https://example.org"),
        (env.env_hosts, {}, "example.org:8000"),
        (env.env_hosts, {}, "example.org/path"),
        (env.env_hosts, {}, "*"),
        (env.env_origins, {}, "example.org"),
        (env.env_origins, {}, "https://example.org/"),
        (env.env_origins, {}, "https://example.org:port"),
        (env.env_origins, {}, "https://user@example.org"),
        (env.env_origins, {}, "*"),
        (env.env_variables, {"default": ()}, "LR=0.1"),
        (env.env_variables, {"default": ()}, "1ST"),
        (env.env_variables, {"default": ()}, "API_KEYS"),
        (env.env_variables, {"default": ()}, "MLSERVER_HOME"),
        (env.env_directory, {"default": ROOT}, "/dev/null"),
        (env.env_directory, {"default": ROOT}, "/dev/null/models"),
        (env.env_database_url, {}, "mysql://box/name"),
        (env.env_database_url, {}, "postgres://box:port/name"),
        (env.env_database_url, {}, "sqlite://:memory:"),
        (env.env_database_url, {}, "sqlite://db.sqlite3"),
        (env.env_database_url, {}, "/db.sqlite3"),
        (env.env_redis_url, {}, "box:6379"),
        (env.env_redis_url, {}, "http://box:6379"),
        (env.env_redis_url, {}, "redis://box:port"),
        (env.env_redis_url, {}, "redis://"),
        (env.env_redis_url, {}, "unix://"),
    ],
)
def test_it_is_true_that_bad_values_are_named(
    reader: object, arguments: dict[str, object], bad: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_VARIABLE", bad)
    with pytest.raises(env.ImproperlyConfigured, match=f"^SOME_VARIABLE='{re.escape(bad)}' is refused: it must be"):
        reader("SOME_VARIABLE", **arguments)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("reader", "written", "read"),
    [
        (env.env_hosts, "example.org, .example.net,10.0.0.1,::1,[::2]",
         ["example.org", ".example.net", "10.0.0.1", "[::1]", "[::2]"]),
        (env.env_origins, "https://Example.org:8443,http://[::1]:80", ["https://example.org:8443", "http://[::1]:80"]),
        (env.env_database_url, "sqlite:////tmp/db.sqlite3", "sqlite:////tmp/db.sqlite3"),
        (env.env_database_url, "postgres:///name?host=/run/postgresql", "postgres:///name?host=/run/postgresql"),
        (env.env_redis_url, "rediss://:word@box:6379/1", "rediss://:word@box:6379/1"),
        (env.env_redis_url, "unix:///run/redis.sock?db=1", "unix:///run/redis.sock?db=1"),
    ],
)  # fmt: skip
def test_it_reads_what_it_takes(reader: object, written: str, read: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_VARIABLE", written)
    assert reader("SOME_VARIABLE") == read  # type: ignore[operator]


@pytest.mark.parametrize(
    "url",
    [
        "mysql://user:hidden@box/name",
        "postgres://user:hid/den@hidden@box:port/name",
        "http://box/name?password=hidden",
        "user:hidden@box",
        "postgres://user:hidden?hidden@box:port",
    ],
)
@pytest.mark.parametrize("reader", [env.env_database_url, env.env_redis_url])
def test_it_shows_no_password_of_a_refused_url(reader: object, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_VARIABLE", url)
    with pytest.raises(env.ImproperlyConfigured, match="box") as refusal:
        reader("SOME_VARIABLE")  # type: ignore[operator]
    assert "hid" not in str(refusal.value)


def test_it_names_every_option_of_serve() -> None:
    own = {
        word for action in Command().create_parser("manage.py", "serve")._actions for word in action.option_strings
    } - {word for action in BaseCommand().create_parser("manage.py", "x")._actions for word in action.option_strings}
    assert set(re.findall(r"^\| `(--[a-z-]+)", PAGE, re.MULTILINE)) == own
