"""What commands do with content: list it, and take a file of this machine in."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, OutputWrapper
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mlserver.accounts.bootstrap import first_admin
from mlserver.errors import ServerError
from registry.blobs import Incoming, check_name
from registry.inspection import inspect
from registry.models import Artifact, ArtifactType, ArtifactVersion
from registry.publish import delete_versions, publish

BLOCK_BYTES = 1024**2
UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def newest_versions(type: ArtifactType) -> Iterator[ArtifactVersion]:
    """Of each artifact of the type that can be read, by name; with `artifact`, `owner`, `dataset` and `files`."""
    versions = ArtifactVersion.objects.newest_of_each(type).select_related("artifact", "owner", "dataset")
    yield from versions.prefetch_related("files").order_by("artifact__name")


def row_of(version: ArtifactVersion, *facts: object) -> list[str]:
    """Name, version, size, `facts`, time, owner, file."""
    owner = version.owner.get_username() if version.owner else "-"
    links = [file.link_name or file.path for file in version.files.all()]
    first = [version.artifact.name, str(version.number), size(version.size_bytes), *map(str, facts)]
    return [one_line(text) for text in (*first, f"{version.created_at:%Y-%m-%d %H:%M}", owner, *links[:1])]


def show(stdout: OutputWrapper, columns: Sequence[str], rows: list[list[str]]) -> None:
    """A table on a terminal; else one line each, columns between tabs: for grep, cut and awk."""
    if not stdout.isatty():
        stdout.write("\n".join("\t".join(row) for row in [list(columns), *rows]))
        return
    table = Table(*columns, box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for row in rows:
        table.add_row(*map(Text, row))
    Console(file=stdout).print(table)  # type: ignore[arg-type]  # OutputWrapper passes on to a file


def add(type: ArtifactType, name: str, file: Path) -> ArtifactVersion:
    """Publish a file of this machine under a new name, as the first administrator. Raises CommandError."""
    try:
        check_name(name)
        with file.open("rb", buffering=0) as source, Incoming.create() as incoming:
            while block := source.read(BLOCK_BYTES):
                incoming.write(block)
            facts = inspect(incoming.path, file.name) if type == ArtifactType.DATASET else None
            return publish(incoming, type=type, name=name, owner=first_admin(), file_name=file.name, facts=facts)
    except ServerError as error:
        raise CommandError(error.message) from error
    except OSError as error:
        raise CommandError(f"{error.filename or file}: {error.strerror}") from error


def remove(type: ArtifactType, name: str) -> str:
    """Take all versions back; what to say of it. Raises CommandError without one, or while a session needs them."""
    artifact = Artifact.objects.filter(type=type, name=name).first()
    try:
        count = delete_versions(artifact) if artifact is not None else 0
    except ServerError as error:
        raise CommandError(error.message) from error
    if not count:
        raise CommandError(f"there is no {type.value} {name!r}; see `manage.py {type.value}s list`")
    return f"removed {count} version{'s' if count > 1 else ''} of {type.value} {name}"


def one_line(text: str) -> str:
    """Names of files are chosen by users: no control character of theirs reaches a terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def size(size_bytes: int) -> str:
    """`7 B`, `1.5 GiB`."""
    power = min(max(size_bytes.bit_length() - 1, 0) // 10, len(UNITS) - 1)
    return f"{size_bytes / 1024**power:.{1 if power else 0}f} {UNITS[power]}"


def said_of(version: ArtifactVersion, **more: Any) -> str:
    """`model net:v1, 12.3 MiB`."""
    parts = [f"{version.artifact.type} {version}", size(version.size_bytes)]
    return ", ".join([*parts, *(f"{name.replace('_', ' ')} {value}" for name, value in more.items() if value)])
