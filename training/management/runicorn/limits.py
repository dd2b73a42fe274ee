"""`runicorn rate-limit`: look at and change rate_limits.json, which the server reads when it starts."""

import json
from argparse import ArgumentParser, BooleanOptionalAction
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

from django.core.management.base import CommandError, OutputWrapper

from mlserver.api.rate_limits import BadRateLimits, Limit, RateLimits, load, rate_limits_file, remove, save
from mlserver.serving.presence import is_running


def add_rate_limit(parser: ArgumentParser) -> None:
    parser.add_argument("--action", choices=list(ACTIONS), default="show")
    parser.add_argument("--endpoint", metavar="PATH", help="of get, set and remove: a path such as /api/runs")
    parser.add_argument("--max-requests", type=int, metavar="N")
    parser.add_argument("--window", type=int, default=60, metavar="SECONDS")
    parser.add_argument("--burst", type=int, metavar="N", help="of them in any second")
    parser.add_argument("--description", default="")
    parser.add_argument("--enable", action="store_true", help="of settings")
    parser.add_argument("--disable", action="store_true", help="of settings")
    parser.add_argument("--log-violations", action=BooleanOptionalAction, default=None)
    parser.add_argument("--whitelist-localhost", action=BooleanOptionalAction, default=None)


def rate_limit(options: dict[str, Any], out: OutputWrapper) -> None:
    try:
        ACTIONS[options["action"]](options, out)
    except BadRateLimits as error:
        raise CommandError("\n".join(error.complaints)) from error
    except OSError as error:
        raise CommandError(f"{rate_limits_file()} cannot be written: {error.strerror}") from error


def show(options: dict[str, Any], out: OutputWrapper) -> None:
    out.write(json.dumps(load().as_json(), indent=2))


def list_all(options: dict[str, Any], out: OutputWrapper) -> None:
    limits = load()
    out.write("Default:")
    out.write(f"  {said(limits.default)}")
    out.write("\nEndpoints:")
    for path, limit in sorted(limits.endpoints.items()):
        out.write(f"  {path}: {said(limit)}")


def get(options: dict[str, Any], out: OutputWrapper) -> None:
    path, limits = needed_endpoint(options), load()
    is_own = path in limits.endpoints
    limit = limits.endpoints[path] if is_own else limits.default
    out.write(f"Endpoint: {path}" + ("" if is_own else " (using default)"))
    for name, value in asdict(limit).items():
        out.write(f"  {name}: {value}")


def set_one(options: dict[str, Any], out: OutputWrapper) -> None:
    path, limits = needed_endpoint(options), load()
    if options["max_requests"] is None:
        raise CommandError("--max-requests is required for set", returncode=2)
    limit = Limit(options["max_requests"], options["window"], options["burst"], options["description"])
    keep(replace(limits, endpoints={**limits.endpoints, path: limit}), out)
    out.write(f"Updated rate limit for {path}: {said(limit)}")


def remove_one(options: dict[str, Any], out: OutputWrapper) -> None:
    path, limits = needed_endpoint(options), load()
    if path not in limits.endpoints:
        out.write(f"No specific rate limit found for {path}")
        return
    keep(replace(limits, endpoints={name: it for name, it in limits.endpoints.items() if name != path}), out)
    out.write(f"Removed rate limit for {path}")


def change_settings(options: dict[str, Any], out: OutputWrapper) -> None:
    if options["enable"] and options["disable"]:
        raise CommandError("--enable and --disable exclude each other", returncode=2)
    limits = load()
    said_names = ("log_violations", "whitelist_localhost")
    changes = {name: options[name] for name in said_names if options[name] is not None}
    if options["enable"] or options["disable"]:
        changes["enable_rate_limiting"] = options["enable"]
    if changes:
        limits = replace(limits, settings=replace(limits.settings, **changes))
        keep(limits, out)
    for name in ("enable_rate_limiting", *said_names):
        out.write(f"  {name}: {str(getattr(limits.settings, name)).lower()}")


def reset(options: dict[str, Any], out: OutputWrapper) -> None:
    remove()
    out.write("Reset to default configuration")
    say_when_it_counts(out)


def validate(options: dict[str, Any], out: OutputWrapper) -> None:
    load()
    out.write("Configuration is valid")


def keep(limits: RateLimits, out: OutputWrapper) -> None:
    save(limits)
    say_when_it_counts(out)


def say_when_it_counts(out: OutputWrapper) -> None:
    if is_running():
        out.write("The running server takes it up when it is started again.")


def needed_endpoint(options: dict[str, Any]) -> str:
    if not options["endpoint"]:
        raise CommandError(f"--endpoint is required for {options['action']}", returncode=2)
    return str(options["endpoint"])


def said(limit: Limit) -> str:
    burst = f" (burst: {limit.burst_size})" if limit.burst_size else ""
    return f"{limit.max_requests}/{limit.window_seconds}s{burst}" + (
        f" - {limit.description}" if limit.description else ""
    )


ACTIONS: dict[str, Callable[[dict[str, Any], OutputWrapper], None]] = {
    "show": show, "list": list_all, "get": get, "set": set_one, "remove": remove_one, "settings": change_settings,
    "reset": reset, "validate": validate,
}  # fmt: skip
