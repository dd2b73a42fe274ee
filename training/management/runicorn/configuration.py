"""`runicorn config` and `runicorn viewer`: where the original library writes by itself, and where to look at it."""

import json
import os
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, OutputWrapper

from mlserver.accounts.bootstrap import first_admin
from mlserver.errors import Invalid
from mlserver.serving.presence import addresses, is_running
from training import paths
from training.tracking.importers.roots import register_root

KEY = "user_root_dir"


def add_config(parser: ArgumentParser) -> None:
    parser.add_argument("--show", action="store_true", help="what is configured (the default)")
    parser.add_argument("--set-user-root", metavar="PATH", help="where scripts of this user write without RUNICORN_DIR")


def config(options: dict[str, Any], out: OutputWrapper) -> None:
    """The file is that of the original's tracking library, which reads it."""
    if options["set_user_root"] is not None:
        root = Path(os.path.expandvars(options["set_user_root"])).expanduser().resolve()
        try:
            set_user_root(root)
        except OSError as error:
            raise CommandError(f"{error.filename} cannot be written: {error.strerror}") from error
        out.write(f"Set user_root_dir to: {root}")
    if options["show"] or options["set_user_root"] is None:
        out.write("Runicorn user config:")
        out.write(f"  File          : {config_file()}")
        out.write(f"  user_root_dir : {read_config().get(KEY) or '(not set)'}")
        out.write(f"  Storage       : {paths.runs_root()}")


def config_file() -> Path:
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "runicorn" / "config.json"


def read_config() -> dict[str, Any]:
    try:
        found = json.loads(config_file().read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def set_user_root(root: Path) -> None:
    root.mkdir(parents=True, exist_ok=True)
    path = config_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps({**read_config(), KEY: str(root)}, indent=2, ensure_ascii=False) + "\n")
    draft.replace(path)


def add_viewer(parser: ArgumentParser) -> None:
    parser.add_argument("--storage", default=os.environ.get("RUNICORN_DIR") or None, metavar="ROOT",
                        help="a storage root whose runs are to be seen, too (RUNICORN_DIR)")  # fmt: skip
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", default="23300")
    parser.add_argument("--reload", action="store_true", help="restart when a Python file changes")
    parser.add_argument("--remote-mode", action="store_true", help="listen on 127.0.0.1 only")
    parser.add_argument("--log-level", default="INFO", choices=["DEBUG", "INFO", "WARNING", "ERROR"])


def viewer(options: dict[str, Any], out: OutputWrapper) -> None:
    """`serve` at that address, in place of this process; a server that runs is only pointed at."""
    if options["storage"]:
        try:
            root = register_root(Path(options["storage"]), first_admin(), is_followed=True)
        except Invalid as error:
            raise CommandError(error.errors["root"][0]) from error
        out.write(f"Storage: {root.path}, followed from now on")
    if is_running():
        where = " and ".join(addresses()) or "the address in its first lines"
        out.write(f"The server of {settings.MLSERVER_HOME} is running, at {where}.")
        return
    host = "127.0.0.1" if options["remote_mode"] else options["host"]
    arguments = ["--host", host, "--port", options["port"], "--log-level", options["log_level"].lower()]
    if options["reload"] and not options["remote_mode"]:
        arguments.append("--reload")
    out.flush()
    os.execv(sys.executable, [sys.executable, str(settings.BASE_DIR / "manage.py"), "serve", *arguments])
