"""What `serve` does to the home and the database before anything runs."""

import logging
import sys
from dataclasses import replace

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connection, connections
from django.db.migrations.executor import MigrationExecutor

from gpus.inventory import register_node
from mlserver.accounts.bootstrap import (
    Credentials,
    Passwordless,
    ensure_first_admin,
    first_admin,
    passwordless_admin,
    refuse_missing_keys,
)
from mlserver.api.rate_limits import limiter
from mlserver.serving import Refused
from mlserver.unusable_database import explained
from mlserver.url_shapes import without_password
from registry.builtin import register_built_ins
from registry.links import prepare_directories
from training.execution.account import why_no_training_starts
from training.execution.sdk import install_sdk
from training.models import Source, Task
from training.queue.line import renew_turns
from training.queue.spec import TaskSpec
from training.queue.submit import submit

log = logging.getLogger(__name__)


def prepare() -> Credentials | Passwordless | None:
    """Credentials that were made now, if this is the first start; or who has keys but no password to log in with.

    Leaves no database connection open.

    Raises Refused when nobody could come in, Redis is away, or the database is missing, behind or away.
    """
    try:
        refuse_missing_keys()
        refuse_missing_redis()
        refuse_missing_migrations()
        limiter()
        made = ensure_first_admin() or passwordless_admin()
        register_node()
        prepare_directories()
        install_sdk()
        register_built_ins()
        warn_of_closed_python()
        renew_turns()  # in case the ageing was set anew
        if settings.DEMO and not Task.objects.exists():
            queue_demonstration()
    except DatabaseError as error:
        raise Refused(explained(error)) from error
    except ImproperlyConfigured as error:
        raise Refused(str(error)) from error
    finally:
        connections.close_all()
    return made


def warn_of_closed_python() -> None:
    """Other jobs work without; trainings answer 503 with the same words until the way is open."""
    reason = why_no_training_starts()
    if reason:
        log.warning("no training can start: %s", reason)


def refuse_missing_redis() -> None:
    """While it runs, the server waits for a Redis that is away; a wrong address is found here."""
    if not settings.Q_REDIS_URL:
        return
    from mlserver.redis_broker import check

    try:
        check(settings.Q_REDIS_URL)
    except (OSError, ValueError) as error:
        shown = without_password(settings.Q_REDIS_URL)
        raise Refused(f"Q_REDIS_URL={shown!r} is refused: it must be that of a Redis which answers; {error}") from error


def refuse_missing_migrations() -> None:
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise Refused("the database is not up to date: run `python manage.py migrate` first (`make run` does)")


def queue_demonstration() -> None:
    """A real training of seconds at the lowest priority, so a first look finds something to look at."""
    spec = TaskSpec.clean(
        {
            "name": "demonstration: digits",
            "project": "examples",
            "command": [sys.executable, str(settings.BASE_DIR / "examples" / "train_digits.py")],
            "priority": -100,
        }
    )
    submit(replace(spec, is_demo=True), owner=first_admin(), source=Source.DEMO)
