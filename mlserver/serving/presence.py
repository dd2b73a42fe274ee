"""Whether the server of this home runs, for commands whose wish it carries out."""

import psutil
from django.core.management.base import OutputWrapper

from mlserver import paths
from mlserver.serving.leftovers import read_record


def is_running() -> bool:
    """The `serve` that wrote itself down in this home is alive on this machine."""
    serve = read_record(paths.serve_record()).get("serve")
    return serve is not None and serve.is_alive()


def addresses() -> list[str]:
    """Where the server of this home listens, as `127.0.0.1:8000`; empty when it does not run or is not ours to ask."""
    serve = read_record(paths.serve_record()).get("serve")
    if serve is None or not serve.is_alive():
        return []
    try:
        sockets = psutil.Process(serve.pid).net_connections(kind="tcp")
    except psutil.Error:
        return []
    heard = {(it.laddr.ip, it.laddr.port) for it in sockets if it.status == psutil.CONN_LISTEN}
    return [f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in sorted(heard)]


def say_when_not_running(notices: OutputWrapper, consequence: str) -> None:
    if not is_running():
        notices.write(f"the server is not running (`manage.py serve` starts it): {consequence}")
