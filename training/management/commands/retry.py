"""`manage.py retry TASK_ID...`: run ended tasks once more."""

from training.management.acting import TaskCommand
from training.models import Task
from training.queue.control import retry_task


class Command(TaskCommand):
    help = "Run ended tasks once more, as new runs of the same tasks."
    without_server = "the tasks start when it is started"

    def act(self, task: Task) -> Task:
        return retry_task(task)
