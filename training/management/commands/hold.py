"""`manage.py hold TASK_ID...`: keep waiting tasks from being placed."""

from training.management.acting import TaskCommand
from training.models import Task
from training.queue.control import hold_task


class Command(TaskCommand):
    help = "Keep waiting tasks from starting until `manage.py release`; what runs goes on."

    def act(self, task: Task) -> Task:
        return hold_task(task)

    def is_done(self, task: Task) -> bool:
        return True
