"""The client where jobs find it: `$MLSERVER_HOME/sdk/mlserver_client`, never the repository itself."""

import os
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from training import paths

NAME = "mlserver_client"


def source() -> Path:
    return Path(settings.BASE_DIR) / "clients" / "python" / NAME


def install_sdk() -> None:
    """Make the installed client the one of this server; running jobs may import it meanwhile.

    A file is replaced whole, and only when it differs; those that are gone from the source are removed. Raises
    ImproperlyConfigured when it cannot be written.
    """
    target, wanted = paths.sdk_root() / NAME, files_of(source())
    try:
        for path in [target, *(target / name for name in sorted({name.parent for name in wanted}))]:
            path.mkdir(parents=True, exist_ok=True)
        for directory in [paths.sdk_root(), *(path for path in [target, *target.rglob("*")] if path.is_dir())]:
            directory.chmod(0o755)  # the account of jobs reads it too, whatever our umask is
        for name in wanted:
            install(source() / name, target / name)
        for name in files_of(target) - wanted:
            (target / name).unlink()
    except OSError as error:
        raise ImproperlyConfigured(f"{target} cannot be written: {error.strerror} ({error.filename})") from error


def files_of(root: Path) -> set[Path]:
    """Relative to `root`, without what Python compiles beside them."""
    found = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
    return {path for path in found if "__pycache__" not in path.parts}


def install(source: Path, target: Path) -> None:
    content = source.read_bytes()
    if target.is_file() and target.read_bytes() == content:
        return
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    draft.write_bytes(content)
    draft.chmod(0o644)
    draft.replace(target)
