"""Start-up checks: settings that would break the queue are refused. Each rule guards against a trap of django-q2."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from training.execution.account import closed_directory, job_account

BROKERS = ("mlserver.queue_broker.DatabaseBroker", "mlserver.redis_broker.RedisBroker")
LONGEST_TASK_S = 60
# django-q2's own grace before it destroys a worker whose task ran out of time.
TIMEOUT_GRACE_S = 3

Options = Mapping[str, Any]


class Rule(NamedTuple):
    option: str
    is_kept: Callable[[Options], bool]
    text: str


RULES = (
    Rule("timeout", lambda q: 0 < (q.get("timeout") or 0) <= LONGEST_TASK_S, f"1 to {LONGEST_TASK_S}: tasks are short"),
    Rule(
        "retry",
        lambda q: q.get("retry", 60) > (q.get("timeout") or 0) + TIMEOUT_GRACE_S,
        f"more than timeout + {TIMEOUT_GRACE_S}: a task still running then is handed out a second time",
    ),
    Rule("ack_failures", lambda q: q.get("ack_failures") is True, "True: a failed task is redelivered without end"),
    Rule("max_attempts", lambda q: q.get("max_attempts") == 1, "1: retries are bounded by the task's own settings"),
    Rule("queue_limit", lambda q: q.get("queue_limit") == 1, "1: rows locked ahead wait for a busy worker"),
    Rule("bulk", lambda q: q.get("bulk", 1) == 1, "1: rows locked ahead wait for a busy worker"),
    Rule("save_limit", lambda q: q.get("save_limit") == -1, "-1: each saved result slows the queue"),
    Rule("catch_up", lambda q: q.get("catch_up") is False, "False: missed schedules would all run at once"),
    Rule("sync", lambda q: not q.get("sync"), "unset: tasks would run inside the request"),
    Rule("cached", lambda q: not q.get("cached"), "unset: results are not read by anybody"),
    Rule("poll", lambda q: 1 <= q.get("poll", 0) <= 5, "1 to 5: wake-ups come through the pipe"),
    Rule("broker_class", lambda q: q.get("broker_class") in BROKERS, "one of " + ", ".join(BROKERS)),
)


@register()
def queue_settings_are_safe(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """One error for each broken rule, with the option, its value and the rule."""
    options: Options = settings.Q_CLUSTER
    return [
        Error(
            f"Q_CLUSTER[{rule.option!r}]={options.get(rule.option)!r} is refused: it must be {rule.text}",
            id=f"mlserver.queue.{rule.option}",
        )
        for rule in RULES
        if not rule.is_kept(options)
    ]


@register()
def job_account_reaches_its_directories(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """MLSERVER_JOB_USER must be able to pass every directory down to the home, or no job could start."""
    account = job_account()
    closed = closed_directory(account) if account else None
    if account is None or closed is None:
        return []
    said = (
        f"MLSERVER_JOB_USER={account.name!r} is refused: it may not enter {closed}, where its jobs would run;"
        " choose another MLSERVER_HOME or open that directory (chmod o+x)"
    )
    return [Error(said, id="mlserver.job_user")]
