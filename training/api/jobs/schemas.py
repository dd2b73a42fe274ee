"""Shapes of the Jobs API, for its schema."""

from rest_framework import serializers as s

from mlserver.api.jobs_view import success_schema


class JobLabel(s.Serializer[dict[str, object]]):
    key = s.CharField()
    value = s.CharField(allow_blank=True)


class EnvVariable(s.Serializer[dict[str, object]]):
    name = s.CharField()
    value = s.CharField(allow_null=True, allow_blank=True, help_text="null: not yours to see")


class JobQuery(s.Serializer[dict[str, object]]):
    keyword = s.CharField(required=False, help_text="part of name or id, in any case")
    keywordType = s.ChoiceField(["name", "queueName"], required=False, default="name")
    status = s.CharField(required=False, help_text="Pending, Creating, Running, Completed, Failed, ManualTermination")
    owner = s.CharField(required=False)
    queue = s.CharField(required=False, help_text="also queueID and queueId")
    resourcePoolId = s.CharField(required=False)
    orderBy = s.ChoiceField(["createdAt", "finishedAt"], required=False, default="createdAt")
    order = s.ChoiceField(["asc", "desc"], required=False, default="desc")
    pageNumber = s.IntegerField(required=False, min_value=1, default=1)
    pageSize = s.IntegerField(required=False, min_value=1, max_value=1000, default=10)


class JobItem(s.Serializer[dict[str, object]]):
    jobId = s.CharField()
    jobName = s.CharField(allow_blank=True)
    status = s.ChoiceField(["Pending", "Creating", "Running", "Completed", "Failed", "ManualTermination"])
    createdAt = s.CharField(help_text="ISO 8601, UTC")
    id = s.CharField()
    name = s.CharField(allow_blank=True)
    startedAt = s.CharField(allow_blank=True)
    finishedAt = s.CharField(allow_blank=True)
    resourcePoolId = s.CharField()
    queue = s.CharField()
    queueID = s.CharField()
    userId = s.CharField()
    owner = s.CharField()
    ownerName = s.CharField()
    labels = JobLabel(many=True)
    jobType = s.CharField(allow_blank=True)
    description = s.CharField(allow_blank=True)


class JobPage(s.Serializer[dict[str, object]]):
    jobs = JobItem(many=True)
    totalCount = s.IntegerField(help_text="before paging")


class Pod(s.Serializer[dict[str, object]]):
    name = s.CharField()
    podName = s.CharField()
    status = s.ChoiceField(["Pending", "Running", "Succeeded", "Failed"])
    phase = s.ChoiceField(["Pending", "Running", "Succeeded", "Failed"])
    nodeName = s.CharField(allow_blank=True)
    gpuIds = s.ListField(child=s.IntegerField())
    exitCode = s.IntegerField(allow_null=True)


class JobDetailData(JobItem):
    config = s.DictField(help_text="the creation request with its defaults")
    pods = Pod(many=True)
    message = s.CharField(allow_blank=True, help_text="why it is as it is")


class JobCreation(s.Serializer[dict[str, object]]):
    """These fields; or `taskParams` alone, the client's form as an object or as JSON text."""

    jobName = s.CharField(max_length=128)
    command = s.JSONField(help_text="a list is executed as it is, a string by a shell")
    image = s.CharField(required=False, help_text="a name of JOB_IMAGES")
    resourcePoolId = s.CharField(required=False, default="default")
    queue = s.CharField(required=False, default="default")
    envs = EnvVariable(many=True, required=False)
    replicas = s.IntegerField(required=False, min_value=1, max_value=8, default=1)
    gpuCount = s.IntegerField(required=False, min_value=0, help_text="for each replica; default 1 where there are GPUs")
    priority = s.ChoiceField(["high", "normal", "low"], required=False, default="normal")
    maxRetries = s.IntegerField(required=False, min_value=0, max_value=10, default=0)
    timeout = s.IntegerField(required=False, min_value=1, help_text="seconds")
    workingDir = s.CharField(required=False)
    labels = JobLabel(many=True, required=False)
    description = s.CharField(required=False)
    taskParams = s.JSONField(required=False)


class JobCreatedData(s.Serializer[dict[str, object]]):
    jobId = s.CharField()
    jobName = s.CharField()


class JobEvent(s.Serializer[dict[str, object]]):
    type = s.ChoiceField(["Normal", "Warning"])
    reason = s.CharField()
    message = s.CharField(allow_blank=True)
    timestamp = s.CharField()
    podName = s.CharField(allow_blank=True)
    count = s.IntegerField()


class JobEventsData(s.Serializer[dict[str, object]]):
    events = JobEvent(many=True)


class PodLogData(s.Serializer[dict[str, object]]):
    logs = s.CharField(allow_blank=True)


class TerminalData(s.Serializer[dict[str, object]]):
    webTerminalUrl = s.CharField(help_text="a WebSocket, good for one opening; whoever has it needs no key")
    WebTerminalUrl = s.CharField(help_text="the same")


TERMINAL = success_schema("PodTerminalAnswer", TerminalData())
JOBS = success_schema("JobList", JobPage())
JOB = success_schema("JobDetailAnswer", JobDetailData())
CREATED = success_schema("JobCreated", JobCreatedData())
SAID = success_schema("JobSaid")
EVENTS = success_schema("JobEventsAnswer", JobEventsData())
LOGS = success_schema("PodLogAnswer", PodLogData())
