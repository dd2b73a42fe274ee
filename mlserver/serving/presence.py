"""Whether the server of this home runs, for commands whose wish it carries out."""

from django.core.management.base import OutputWrapper

from mlserver import paths
from mlserver.serving.leftovers import read_record


def is_running() -> bool:
    """The `serve` that wrote itself down in this home is alive on this machine."""
    serve = read_record(paths.serve_record()).get("serve")
    return serve is not None and serve.is_alive()


def say_when_not_running(notices: OutputWrapper, consequence: str) -> None:
    if not is_running():
        notices.write(f"the server is not running (`manage.py serve` starts it): {consequence}")
