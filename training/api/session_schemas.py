"""Serializers that describe bodies and answers of the Training API; rows are rendered from .values()."""

from rest_framework import serializers as s

from training.models.session import SESSION_ID, SessionState
from training.trainer.catalog import ARCHITECTURES, LOSS_FUNCTIONS, OPTIMIZERS


class SessionStart(s.Serializer[dict[str, object]]):
    model_architecture = s.CharField(min_length=1, max_length=100, help_text=f"one of {', '.join(ARCHITECTURES)}")
    dataset_name = s.CharField(min_length=1, max_length=100, help_text="a registered dataset")
    learning_rate = s.FloatField(min_value=0.0001, max_value=1)
    batch_size = s.IntegerField(min_value=1, max_value=256)
    epochs = s.IntegerField(min_value=1, max_value=1000)
    optimizer = s.ChoiceField(OPTIMIZERS, default="adam")
    loss_function = s.ChoiceField(LOSS_FUNCTIONS, default="cross_entropy")


class SessionConfig(s.Serializer[dict[str, object]]):
    """The seven fields of a submission, defaults filled in."""

    model_architecture = s.CharField()
    dataset_name = s.CharField()
    learning_rate = s.FloatField()
    batch_size = s.IntegerField()
    epochs = s.IntegerField()
    optimizer = s.CharField()
    loss_function = s.CharField()


class SessionStarted(s.Serializer[dict[str, object]]):
    session_id = s.RegexField(f"^{SESSION_ID}$")
    status = s.ChoiceField((SessionState.RUNNING.value, SessionState.QUEUED.value))
    message = s.CharField(help_text="for people; of a queued session also what it waits for")


class SessionStatus(s.Serializer[dict[str, object]]):
    session_id = s.CharField()
    state = s.ChoiceField(SessionState.choices, help_text="stopped: as soon as the stop is recorded")
    current_epoch = s.IntegerField(allow_null=True, help_text="the last finished one, from 1")
    total_epochs = s.IntegerField()
    start_time = s.DateTimeField(allow_null=True)
    end_time = s.DateTimeField(allow_null=True)
    error_message = s.CharField(allow_null=True, help_text="of failed sessions only")


class EpochMetrics(s.Serializer[dict[str, object]]):
    """Numbers that are not finite are null."""

    session_id = s.CharField()
    epoch = s.IntegerField(min_value=1)
    loss = s.FloatField(allow_null=True)
    accuracy = s.FloatField(allow_null=True, help_text="0 to 1")
    val_loss = s.FloatField(allow_null=True)
    val_accuracy = s.FloatField(allow_null=True, help_text="0 to 1")
    timestamp = s.DateTimeField()


class LogEntry(s.Serializer[dict[str, object]]):
    session_id = s.CharField()
    timestamp = s.DateTimeField()
    level = s.ChoiceField(("DEBUG", "INFO", "WARNING", "ERROR"))
    message = s.CharField()


class SessionAnswer(s.Serializer[dict[str, object]]):
    session_id = s.CharField()
    config = SessionConfig()
    status = SessionStatus()
    created_at = s.DateTimeField()


class Said(s.Serializer[dict[str, object]]):
    message = s.CharField(help_text="for people")
