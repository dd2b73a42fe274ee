"""Shapes of the FlowLine API, for its schema."""

from rest_framework import serializers as s


class Done(s.Serializer[dict[str, object]]):
    success = s.BooleanField()


class TaskCreation(s.Serializer[dict[str, object]]):
    name = s.CharField(max_length=255, default="Unnamed Task")
    cmd = s.CharField(help_text="a shell command; `command` is taken as well")
    need_run_num = s.IntegerField(min_value=1, max_value=10_000, default=1, help_text="runs that are wanted")
    config_dict = s.DictField(default=dict, help_text="each becomes an option ` --key value` of the command")
    working_dir = s.CharField(allow_null=True, default=None, max_length=500, help_text="an existing directory")
    gpu_memory_mb = s.IntegerField(allow_null=True, default=None, help_text="MiB it needs free on its GPU")


class TaskCreated(Done):
    task_id = s.IntegerField()


class TaskCopy(s.Serializer[dict[str, object]]):
    original_task_id = s.IntegerField()
    new_name = s.CharField(required=False, allow_null=True)
    need_run_num = s.IntegerField(required=False, allow_null=True)


class TaskCopied(Done):
    new_task_id = s.IntegerField()


class FlowlineTask(s.Serializer[dict[str, object]]):
    id = s.IntegerField()
    task_id = s.IntegerField(help_text="the same")
    name = s.CharField()
    status = s.ChoiceField(["queued", "running", "completed", "failed", "stopped"])
    state = s.ChoiceField(["PENDING", "RUNNING", "COMPLETED", "FAILED", "KILLED"])
    run_num = s.IntegerField(help_text="runs that succeeded")
    need_run_num = s.IntegerField()
    cmd = s.CharField()
    command = s.CharField(help_text="the same")
    working_dir = s.CharField(allow_null=True)
    config_dict = s.DictField()
    dict = s.CharField(help_text="config_dict as text")
    user = s.CharField()
    process_id = s.IntegerField(allow_null=True, help_text="of the latest process")
    pid = s.IntegerField(allow_null=True)
    gpu_id = s.IntegerField(allow_null=True, help_text="-1: on the CPU")
    startTime = s.CharField(allow_null=True, help_text="YYYY-MM-DD HH:MM:SS, the server's clock")
    runTime = s.CharField(allow_null=True, help_text="in whole minutes: `7 min`")
    created_at = s.DateTimeField()
    updated_at = s.DateTimeField()


class TaskList(s.Serializer[dict[str, object]]):
    tasks = FlowlineTask(many=True)


class FlowlineProcess(s.Serializer[dict[str, object]]):
    name = s.CharField(help_text="of its task")
    status = s.ChoiceField(["running", "killing", "stopped", "completed", "failed"])
    process_id = s.IntegerField(help_text="counted from 0 since the first start of the server")
    pid = s.IntegerField()
    task_id = s.IntegerField()
    gpu_id = s.IntegerField(help_text="-1: on the CPU")
    start_time = s.FloatField(allow_null=True, help_text="seconds since 1970")
    cmd = s.CharField()
    func = s.CharField(help_text="the same")
    user = s.CharField()
    end_time = s.FloatField(allow_null=True)
    return_code = s.IntegerField(allow_null=True, help_text="minus the signal for a process that one ended")


class LoopState(s.Serializer[dict[str, object]]):
    if_run = s.BooleanField()


class LogFile(s.Serializer[dict[str, object]]):
    name = s.CharField(help_text="`<process_id>.out`, `<process_id>.err`, or a log of the server")
    fullPath = s.CharField()
    size = s.CharField(help_text="1.5MB, 2.0KB, 17B")
    lastModified = s.CharField(help_text="YYYY-MM-DD HH:MM:SS, the server's clock")


class LogFiles(s.Serializer[dict[str, object]]):
    files = LogFile(many=True)


class PlainLogFile(s.Serializer[dict[str, object]]):
    name = s.CharField()
    size = s.IntegerField(help_text="bytes")
    modified = s.CharField(help_text="YYYY-MM-DD HH:MM:SS, the server's clock")


class ParsedLine(s.Serializer[dict[str, object]]):
    timestamp = s.CharField(help_text="empty where the line does not say")
    level = s.CharField(help_text="likewise")
    message = s.CharField()


class LogLines(s.Serializer[dict[str, object]]):
    lines = ParsedLine(many=True)
