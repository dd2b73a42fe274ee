"""`manage.py release TASK_ID...`: let held tasks start."""

from training.management.acting import TaskCommand
from training.models import Task
from training.queue.control import release_task


class Command(TaskCommand):
    help = "Let held tasks start again, each as soon as there is room for it."
    without_server = "the tasks start when it is started"

    def act(self, task: Task) -> Task:
        return release_task(task)
