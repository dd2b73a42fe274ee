"""The points of a run: packed columns, one (step, time) axis for the names that are logged together.

Only `training.tracking.metrics` writes and reads them; docs/metrics.md describes the bytes.
"""

from django.db import models

# What scripts say stands in the stream without a name; what the server samples of a run is apart from it.
SYSTEM_STREAM = "system"


class MetricGroup(models.Model):
    """Names that are logged together. Its rows are numbered from 0 in the order they were said, and never change."""

    run = models.ForeignKey("training.Run", on_delete=models.CASCADE, related_name="metric_groups")
    stream = models.CharField(max_length=16, default="", blank=True, help_text="system: sampled by the server")
    digest = models.CharField(max_length=64, help_text="SHA-256 of the columns, and of the stream where it has a name")
    columns = models.JSONField(help_text="[name, kind] of each column, by name; kind is number or word")
    rows = models.PositiveBigIntegerField(default=0, help_text="rows in all its chunks")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "digest"], name="one_group_per_columns")]

    def __str__(self) -> str:
        return f"{self.run_id} {self.digest[:8]}"


class MetricChunk(models.Model):
    """Rows `number` to `number + rows - 1` of a group. All blobs are little endian and without gaps."""

    group = models.ForeignKey(MetricGroup, on_delete=models.CASCADE, related_name="chunks")
    number = models.PositiveBigIntegerField(help_text="row of the group that it begins with")
    rows = models.PositiveIntegerField()
    first_step = models.BigIntegerField(help_text="the smallest")
    last_step = models.BigIntegerField(help_text="the greatest")
    is_ascending = models.BooleanField(help_text="each step is greater than the one before")
    steps = models.BinaryField(help_text="int64")
    times = models.BinaryField(help_text="float64, seconds since 1970; NaN where none was said")
    values = models.BinaryField(help_text="float64, column after column; words as their codes")
    # Last, because a group that stands alone is read without them.
    orders = models.BinaryField(help_text="int64: place of each row among all rows of the run")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["group", "number"], name="one_chunk_per_number")]

    def __str__(self) -> str:
        return f"{self.group_id} {self.number}+{self.rows}"


class MetricWord(models.Model):
    """A string or boolean that a run logged; columns of kind word hold its code."""

    run = models.ForeignKey("training.Run", on_delete=models.CASCADE, related_name="metric_words")
    code = models.PositiveIntegerField()
    value = models.JSONField(help_text="a string or a boolean")
    digest = models.CharField(max_length=64, help_text="SHA-256 of the value as JSON, to find its code by")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "code"], name="one_word_per_code"),
            models.UniqueConstraint(fields=["run", "digest"], name="one_code_per_word"),
        ]

    def __str__(self) -> str:
        return f"{self.run_id} {self.code}"
