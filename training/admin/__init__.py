"""Pages of the Django admin; importing this registers them."""

from training.admin import metrics as metrics
from training.admin import queues as queues
from training.admin import runs as runs
from training.admin import sessions as sessions
from training.admin import tasks as tasks
