"""MLSERVER_HOME: the directory that holds all state, and the secret key inside it."""

import os
import secrets
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured


def prepare_home(home: Path, *, has_job_user: bool = False) -> None:
    """Create `home` (0700) if it is missing; raises ImproperlyConfigured when it cannot be written.

    With another account for jobs it is opened for passing through (0711): what it holds is closed file by file.
    """
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if has_job_user:
            home.chmod(home.stat().st_mode | 0o011)
    except OSError as error:
        raise ImproperlyConfigured(f"MLSERVER_HOME={home} cannot be created: {error.strerror}") from error
    if not os.access(home, os.W_OK | os.X_OK):
        raise ImproperlyConfigured(f"MLSERVER_HOME={home} is not writable by this user")


def private_file(path: Path) -> Path:
    """Make sure `path` exists and is for its owner only (0600), whatever the umask was when it was made."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        path.chmod(0o600)
    except OSError as error:
        raise ImproperlyConfigured(f"{path} cannot be used: {error.strerror}") from error
    return path


def load_secret_key(home: Path) -> str:
    """The key in `home/secret_key`, made on first use (0600). Two first starts at once agree on one key."""
    path = home / "secret_key"
    try:
        write_once(path, secrets.token_urlsafe(64))
        return path.read_text().strip()
    except OSError as error:
        raise ImproperlyConfigured(f"{path} cannot be used: {error.strerror}") from error


def write_once(path: Path, text: str) -> bool:
    """Create `path` (0600) with `text` unless it exists; whole or not at all, also with two writers at once."""
    if path.exists():
        return False
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text + "\n")
    try:
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    return True
