"""What the native API takes and answers, for the schema and the browsable pages.

These classes describe; they check and render nothing. Values are checked by the services, answers are rendered
by the `*_json` modules, and a test compares those answers with this description.
"""

from rest_framework import serializers as s

from training.models import Condition, EventType, ExitClass, RunStatus, Source, TaskStatus
from training.queue.arrays import MOST
from training.queue.spec import MAX_RANKS, TaskSpec

EXAMPLE = TaskSpec(command=["/bin/true"])


class Resources(s.Serializer[dict[str, object]]):
    """What may be changed while a task is not active."""

    gpus = s.IntegerField(min_value=0, max_value=1024, default=EXAMPLE.gpus)
    gpu_memory_mib = s.IntegerField(min_value=1, allow_null=True, default=None, help_text="on each GPU; shares it")
    exclusive = s.BooleanField(allow_null=True, default=None, help_text="default: unless gpu_memory_mib is given")
    cpus = s.IntegerField(min_value=0, allow_null=True, default=None, help_text="slots; default 1 without GPUs, else 0")
    memory_mib = s.IntegerField(min_value=1, allow_null=True, default=None)
    ranks = s.IntegerField(min_value=1, max_value=MAX_RANKS, default=1, help_text="processes of each run")
    pool = s.CharField(max_length=64, default=EXAMPLE.pool)
    queue = s.CharField(max_length=64, default=EXAMPLE.queue)
    priority = s.IntegerField(min_value=-100, max_value=100, default=EXAMPLE.priority, help_text="higher goes first")
    max_retries = s.IntegerField(min_value=0, max_value=100, default=EXAMPLE.max_retries)
    backoff_s = s.FloatField(min_value=0, max_value=3600, default=EXAMPLE.backoff_s, help_text="doubles each time")
    time_limit_s = s.FloatField(allow_null=True, default=None, help_text="the run is stopped after it")
    grace_s = s.FloatField(min_value=0, max_value=3600, default=EXAMPLE.grace_s, help_text="between TERM and KILL")


class TaskLabel(s.Serializer[dict[str, object]]):
    key = s.CharField(max_length=256)
    value = s.CharField(max_length=256, allow_blank=True)


class TaskChange(Resources):
    project = s.CharField(max_length=100, default=EXAMPLE.project)
    cwd = s.CharField(max_length=4096, default="", allow_blank=True, help_text="absolute; default: the run directory")
    env = s.DictField(child=s.CharField(), default=dict)
    config = s.JSONField(default=dict, help_text="an object, shown with the run")
    command = s.JSONField(required=False, help_text="array: program and arguments; string: for /bin/sh -c")
    name = s.CharField(max_length=255, default="", allow_blank=True)
    tags = s.ListField(child=s.CharField(max_length=100), max_length=100, default=list)
    labels = TaskLabel(many=True, default=list, help_text="at most 100, or an object of texts; each key once")
    description = s.CharField(max_length=10_000, default="", allow_blank=True)


class Need(s.Serializer[dict[str, object]]):
    task = s.IntegerField(help_text="id of a task")
    condition = s.ChoiceField(Condition.choices, default=Condition.OK)


class TaskSubmission(TaskChange):
    command = s.JSONField(help_text="array: program and arguments; string: for /bin/sh -c")
    depends_on = Need(many=True, default=list, help_text="or ids: it starts after they have completed")
    array = s.JSONField(allow_null=True, default=None, help_text=f"1-{MOST}, or a list of objects: as many tasks")
    repeat = s.IntegerField(min_value=1, max_value=10_000, default=EXAMPLE.repeat, help_text="executions, in parallel")
    hold = s.BooleanField(default=False, help_text="wait until it is released")


class Device(s.Serializer[dict[str, object]]):
    index = s.IntegerField()
    uuid = s.CharField()
    energy_wh = s.FloatField(help_text="what the run used on it")


class NewestRun(s.Serializer[dict[str, object]]):
    id = s.CharField()
    status = s.ChoiceField(RunStatus.choices)
    exit_class = s.ChoiceField(ExitClass.choices, allow_blank=True)
    exit_code = s.IntegerField(allow_null=True)
    gpus = Device(many=True)
    node = s.CharField(allow_null=True)
    started_at = s.DateTimeField(allow_null=True)
    ended_at = s.DateTimeField(allow_null=True)


class NeedAnswer(Need):
    met = s.BooleanField(help_text="it has ended as it must")


class TaskAnswer(s.Serializer[dict[str, object]]):
    id = s.IntegerField()
    job_id = s.CharField(help_text="public name")
    name = s.CharField()
    project = s.CharField()
    owner = s.CharField(help_text="user name")
    labels = TaskLabel(many=True)
    description = s.CharField()
    array_id = s.CharField(help_text="what the tasks of one submission share; empty outside arrays")
    array_index = s.IntegerField(allow_null=True, help_text="from 0 within its array")
    array_size = s.IntegerField(allow_null=True)
    schedule = s.IntegerField(allow_null=True, help_text="id of the schedule that submitted it")
    source = s.ChoiceField(Source.choices, help_text="the door it came in by")  # type: ignore[assignment]
    tags = s.ListField(child=s.CharField())
    command = s.JSONField(help_text="an array or a string")
    cwd = s.CharField()
    env = s.DictField(child=s.CharField(allow_null=True), help_text="null values: only its owner sees them")
    config = s.DictField()
    gpus = s.IntegerField()
    gpu_memory_mib = s.IntegerField(allow_null=True)
    exclusive = s.BooleanField()
    cpus = s.IntegerField()
    memory_mib = s.IntegerField(allow_null=True)
    ranks = s.IntegerField()
    pool = s.CharField()
    queue = s.CharField()
    priority = s.IntegerField()
    repeat = s.IntegerField()
    max_retries = s.IntegerField()
    backoff_s = s.FloatField()
    time_limit_s = s.FloatField(allow_null=True)
    grace_s = s.FloatField()
    status = s.ChoiceField(TaskStatus.choices)
    waiting_reason = s.CharField(help_text="why it has not started, in a sentence")
    position = s.IntegerField(allow_null=True, help_text="place in the line of waiting tasks; 1 is next")
    pending_runs = s.IntegerField(help_text="executions still to place")
    retries_used = s.IntegerField()
    runs_completed = s.IntegerField()
    runs_failed = s.IntegerField()
    created_at = s.DateTimeField()
    queued_at = s.DateTimeField()
    started_at = s.DateTimeField(allow_null=True)
    ended_at = s.DateTimeField(allow_null=True)
    stop_requested_at = s.DateTimeField(allow_null=True)
    depends_on = NeedAnswer(many=True)
    newest_run = NewestRun(allow_null=True)


class DryRunAnswer(s.Serializer[dict[str, object]]):
    would_start = s.BooleanField(help_text="at once")
    starts_at = s.DateTimeField(allow_null=True, help_text="at the latest, by the time limits of what is ahead")
    node = s.CharField(allow_null=True, help_text="where it would start then")
    gpus = s.ListField(child=s.IntegerField(), help_text="indices")
    waiting_reason = s.CharField()
    position = s.IntegerField(allow_null=True, help_text="place it would have in the line; 1 is next")


class RunChange(s.Serializer[dict[str, object]]):
    name = s.CharField(max_length=255, required=False, allow_blank=True)
    tags = s.ListField(child=s.CharField(max_length=100), max_length=100, required=False)
    notes = s.CharField(max_length=100_000, required=False, allow_blank=True)


class SdkRun(RunChange):
    id = s.RegexField(r"^\d{8}_\d{6}_[0-9a-f]{6}$", required=False, help_text="default: a new one")
    project = s.CharField(max_length=100, default="default")
    config = s.JSONField(default=dict)
    pid = s.IntegerField(min_value=1, required=False, help_text="its process, to notice when it is gone")
    start_ticks = s.IntegerField(min_value=0, required=False, help_text="field 22 of /proc/<pid>/stat")
    boot_id = s.CharField(max_length=64, required=False, help_text="/proc/sys/kernel/random/boot_id")
    pid_namespace = s.IntegerField(min_value=0, required=False, help_text="inode of /proc/self/ns/pid")
    host = s.CharField(max_length=255, required=False, help_text="host name of its machine")
    started_at = s.DateTimeField(required=False, help_text="default: now")
    resume = s.BooleanField(default=False, help_text="go on with your run of this id, if there is one")


class SeriesSummary(s.Serializer[dict[str, object]]):
    count = s.IntegerField()
    first = s.FloatField(allow_null=True)
    last = s.FloatField(allow_null=True)
    min = s.FloatField(allow_null=True)
    max = s.FloatField(allow_null=True)
    latest_step = s.IntegerField(allow_null=True)


class RunAnswer(s.Serializer[dict[str, object]]):
    id = s.CharField()
    task = s.IntegerField(allow_null=True, help_text="null: made by the SDK outside the queue")
    project = s.CharField()
    name = s.CharField()
    owner = s.CharField(help_text="user name")
    source = s.ChoiceField(Source.choices)  # type: ignore[assignment]
    status = s.ChoiceField(RunStatus.choices)
    exit_class = s.ChoiceField(ExitClass.choices, allow_blank=True)
    exit_code = s.IntegerField(allow_null=True)
    exit_signal = s.IntegerField(allow_null=True)
    exit_reason = s.CharField(help_text="the evidence for the exit class")
    is_stale = s.BooleanField(help_text="no heartbeat for a while")
    attempt = s.IntegerField()
    node = s.CharField(allow_null=True)
    gpus = Device(many=True)
    energy_wh = s.FloatField(allow_null=True, help_text="of all its GPUs; null without GPUs")
    created_at = s.DateTimeField()
    started_at = s.DateTimeField(allow_null=True)
    ended_at = s.DateTimeField(allow_null=True)
    duration_s = s.FloatField(allow_null=True)
    stop_requested_at = s.DateTimeField(allow_null=True)
    updated_at = s.DateTimeField(help_text="last change of its status, metrics, summary or notes")
    host = s.CharField(help_text="of a run outside the queue: where its process is")
    tags = s.ListField(child=s.CharField())
    notes = s.CharField()
    config = s.DictField()
    run_dir = s.CharField(help_text="absolute path on the server")
    summary = s.DictField(child=SeriesSummary(), help_text="of its series, by name")
    script_summary = s.DictField(help_text="what its script says of it as a whole")
    best_metric_name = s.CharField(help_text="of its primary metric, as its script says; empty without one")
    best_metric_value = s.FloatField(allow_null=True)
    best_metric_step = s.IntegerField(allow_null=True)
    best_metric_mode = s.CharField(help_text="max, min or empty")


class SdkRunAnswer(RunAnswer):
    next_seq = s.IntegerField(help_text="sequence number of the first metric batch")


class RunEnd(s.Serializer[dict[str, object]]):
    status = s.ChoiceField(["finished", "failed", "stopped"], default="finished")
    reason = s.CharField(max_length=2000, required=False, help_text="shown as exit_reason")
    ended_at = s.DateTimeField(required=False, help_text="default: now")


class HeartbeatAnswer(s.Serializer[dict[str, object]]):
    status = s.ChoiceField(RunStatus.choices)
    stop_requested = s.BooleanField()


class ProcessAnswer(s.Serializer[dict[str, object]]):
    id = s.IntegerField()
    run = s.CharField()
    task = s.IntegerField(allow_null=True)
    rank = s.IntegerField()
    node = s.CharField(allow_null=True)
    pid = s.IntegerField(allow_null=True, help_text="the command's own process")
    supervisor_pid = s.IntegerField(allow_null=True)
    started_at = s.DateTimeField(allow_null=True)
    ended_at = s.DateTimeField(allow_null=True)
    exit_code = s.IntegerField(allow_null=True)
    exit_signal = s.IntegerField(allow_null=True)
    max_rss_mib = s.IntegerField(allow_null=True)
    cpu_s = s.FloatField(allow_null=True, help_text="user and system time of the process tree")


class EventAnswer(s.Serializer[dict[str, object]]):
    id = s.IntegerField()
    type = s.ChoiceField(EventType.choices)
    reason = s.CharField(help_text="one CamelCase word")
    message = s.CharField()
    task = s.IntegerField(allow_null=True)
    run = s.CharField(allow_null=True)
    node = s.CharField(allow_null=True)
    count = s.IntegerField(help_text="how often it was said, the last time at last_at")
    created_at = s.DateTimeField()
    last_at = s.DateTimeField()


class LeaseAnswer(s.Serializer[dict[str, object]]):
    id = s.IntegerField()
    run = s.CharField()
    task = s.IntegerField(allow_null=True)
    gpu = s.IntegerField(help_text="id of the GPU")
    gpu_index = s.IntegerField()
    gpu_uuid = s.CharField()
    node = s.CharField()
    memory_mib = s.IntegerField()
    exclusive = s.BooleanField()
    created_at = s.DateTimeField()
    released_at = s.DateTimeField(allow_null=True)
