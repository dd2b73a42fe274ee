"""`manage.py serve`: the whole server of one home."""

import os
import socket
import sys
from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

import setproctitle
from django.conf import settings
from django.core.management.base import BaseCommand

from mlserver import paths
from mlserver.accounts.bootstrap import Credentials, Passwordless
from mlserver.log_file import log_to_file
from mlserver.serving import Refused
from mlserver.serving.addresses import listen_all
from mlserver.serving.announcement import announcement
from mlserver.serving.children import Child
from mlserver.serving.leftovers import end_leftovers
from mlserver.serving.lock import HomeLock
from mlserver.serving.options import Options
from mlserver.serving.preload import preload
from mlserver.serving.preparation import prepare
from mlserver.serving.probe import WebPulse
from mlserver.serving.qcluster import Pulse
from mlserver.serving.reload import SourceWatch
from mlserver.serving.supervise import Supervisor
from mlserver.started import STARTED_AT  # noqa: F401  taken before anything is forked


class Command(BaseCommand):
    help = "Run the web server, the queue and the agent of this machine until SIGTERM or Ctrl-C."

    def add_arguments(self, parser: ArgumentParser) -> None:
        # Values are text here and checked by Options, so every bad one is refused in the same one line.
        parser.add_argument("--host", help="address to listen on (API_HOST, 127.0.0.1)")
        parser.add_argument("--port", help="port to listen on (API_PORT, 8000)")
        parser.add_argument(
            "--listen", action="append", default=[], metavar="HOST:PORT", help="listen there as well; repeatable"
        )
        parser.add_argument("--api-keys", metavar="KEY,KEY", help="static keys with admin scope (API_KEYS)")
        parser.add_argument("--log-level", help=f"{', '.join(settings.LOG_LEVELS)} (LOG_LEVEL, info)")
        parser.add_argument("--tls-cert", metavar="FILE", help="certificate chain, PEM; together with --tls-key")
        parser.add_argument("--tls-key", metavar="FILE", help="private key, PEM")
        parser.add_argument("--reload", action="store_true", help="restart when a Python file changes")

    def handle(self, *args: Any, **given: Any) -> None:
        try:
            options = Options.parse(given)
            options.apply()
            self.lock = HomeLock(paths.serve_lock())
            end_leftovers()
            # Before anything is made: credentials are shown once, so nothing may fail between making and showing.
            listeners = listen_all(options.addresses)
            made = prepare()
        except Refused as refusal:
            sys.exit(f"mlserver: {refusal}")
        if serve(options, listeners, made):
            os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def serve(options: Options, listeners: list[socket.socket], made: Credentials | Passwordless | None) -> bool:
    """Until told to stop (False), or until sources changed under --reload (True)."""
    setproctitle.setproctitle("mlserver: serve")  # also hides --api-keys from the process list
    preload()
    log_to_file()
    watch = SourceWatch() if options.reload else None
    supervisor = Supervisor(
        [
            Child("web", lambda: run_web(listeners, options), web_pulse(listeners, options)),
            Child("qcluster", without(listeners, run_qcluster), Pulse()),
            Child("agent", without(listeners, run_agent)),
        ],
        wants_restart=watch.has_changed if watch else lambda: False,
    )
    return supervisor.run(when_up=lambda: print(announcement(options, listeners, made), flush=True))


def web_pulse(listeners: list[socket.socket], options: Options) -> WebPulse:
    names = [name for name in settings.ALLOWED_HOSTS if not name.startswith((".", "*"))]
    return WebPulse(listeners[0], (names or ["localhost"])[0], is_tls=options.tls_cert is not None)


def without(listeners: list[socket.socket], main: Callable[[], None]) -> Callable[[], None]:
    """`main` in a process that does not keep the port."""

    def run() -> None:
        for listener in listeners:
            listener.close()
        main()

    return run


def run_web(listeners: list[socket.socket], options: Options) -> None:
    from mlserver.serving import web

    web.run(listeners, options)


def run_qcluster() -> None:
    from mlserver.serving import qcluster

    qcluster.run()


def run_agent() -> None:
    from training.execution import agent

    agent.main()
