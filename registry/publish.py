"""Make content that came in a version of an artifact, and take versions back."""

import logging
import re
from collections.abc import Callable, Iterable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from mlserver.errors import Conflict, Forbidden, NotFound, OutOfSpace, shown
from registry import links
from registry.blobs import LONGEST_NAME, Incoming, is_name, path_of
from registry.datasets.facts import Facts
from registry.in_use import refuse_in_use
from registry.models import Artifact, ArtifactFile, ArtifactType, ArtifactVersion, Blob, DatasetFacts, VersionStatus
from registry.store_lock import StoreInUse

log = logging.getLogger(__name__)

LONGEST_PATH = 255
MOST_LINKS_PER_SECOND = 100
# What who is refused a name can do about it: the API deletes models, but no datasets.
WAY_OUT = {
    ArtifactType.MODEL: "delete it first or take another name",
    ArtifactType.DATASET: "take another name, or have an administrator delete it",
}
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def publish(
    incoming: Incoming,
    *,
    type: str,
    name: str,
    owner: User | None,
    file_name: str,
    facts: Facts | None = None,
    metadata: dict[str, Any] | None = None,
    must_be_new: bool = True,
    also: Callable[[ArtifactVersion], object] | None = None,
) -> ArtifactVersion:
    """The committed version that holds what came in; its link follows the commit.

    `metadata` must be JSON that databases take: no NaN, no infinity. `also` writes what belongs to the version, in
    the same transaction. Of two callers with one new name one wins; numbers are given once, also after a deletion.

    Raises Conflict when `must_be_new` and a version can be read under this name, OutOfSpace, and ValueError for a
    name that no artifact may have.
    """
    if not is_name(name):
        raise ValueError(f"{shown(name)} cannot name an artifact: at most {LONGEST_NAME} of A-Z a-z 0-9 . _ -")
    if must_be_new:
        refuse_taken(type, name)
    digest = incoming.keep()
    with transaction.atomic():
        artifact = locked(type, name, owner)
        if must_be_new:
            refuse_taken(type, name)
        version = next_version(artifact, owner, incoming.size_bytes, metadata or {})
        blob, _ = Blob.objects.get_or_create(pk=digest, defaults={"size_bytes": incoming.size_bytes})
        file = add_file(version, blob, file_name)
        if facts is not None:
            described = asdict(facts) | {"dimensions": facts.dimensions or "", "input_shape": list(facts.input_shape)}
            DatasetFacts.objects.create(version=version, **described)
        if also is not None:
            also(version)
        transaction.on_commit(partial(link_after_commit, file, incoming.in_use))
    return version


def refuse_taken(type: str, name: str) -> None:
    newest = ArtifactVersion.objects.newest_of(type, name)
    if newest is not None:
        way_out = WAY_OUT.get(ArtifactType(type), "take another name")
        raise Conflict(f"{type} '{name}' exists (version {newest.number}): {way_out}")


def locked(type: str, name: str, owner: User | None) -> Artifact:
    """The artifact, held until the transaction ends: whoever publishes or deletes under this name waits here."""
    artifact, _ = Artifact.objects.get_or_create(type=type, name=name, defaults={"owner": owner})
    artifact = Artifact.objects.select_for_update().get(pk=artifact.pk)
    if not ArtifactVersion.objects.ready().filter(artifact=artifact).exists():
        artifact.owner = owner  # whoever takes up a name that was given back has it
    return artifact


def next_version(artifact: Artifact, owner: User | None, size_bytes: int, metadata: dict[str, Any]) -> ArtifactVersion:
    version = ArtifactVersion.objects.create(
        artifact=artifact,
        number=artifact.next_number,
        owner=owner,
        size_bytes=size_bytes,
        num_files=1,
        metadata=metadata,
    )
    artifact.next_number += 1
    artifact.updated_at = version.created_at
    artifact.save(update_fields=["owner", "next_number", "updated_at"])
    return version


def add_file(version: ArtifactVersion, blob: Blob, file_name: str) -> ArtifactFile:
    """The row of the one file, with a link name that no other row has and that nothing on disk has."""
    artifact, path = version.artifact, path_in_version(file_name, version.artifact.name)
    root = links.links_root(artifact.type)
    if root is None:
        return ArtifactFile.objects.create(version=version, path=path, blob=blob)
    for copy in range(1, MOST_LINKS_PER_SECOND):
        link_name = links.link_name(artifact.name, path, version.created_at, copy)
        if (root / link_name).exists():
            continue
        try:
            with transaction.atomic():
                return ArtifactFile.objects.create(version=version, path=path, blob=blob, link_name=link_name)
        except IntegrityError:
            continue  # a model and a dataset of one name in one second
    raise Conflict(f"'{artifact.name}' was published too often within this second: try again")


def path_in_version(file_name: str, otherwise: str) -> str:
    """The last part of what the sender calls its file, without what no file name should have."""
    last = UNPRINTABLE.sub("", re.split(r"[/\\]", file_name)[-1]).strip()[-LONGEST_PATH:]
    return otherwise if last in ("", ".", "..") else last


def link_after_commit(file: ArtifactFile, in_use: StoreInUse | None) -> None:
    """`in_use` is only held: until here the content must not be taken for unused. Upkeep makes what fails here."""
    try:
        link(file)
    except (OSError, OutOfSpace, NotFound) as error:
        log.warning("no link %s yet: %s", file.link_name, error)


def link(file: ArtifactFile) -> Path:
    """The link of a file, made if it is missing; its blob where it has none. Raises NotFound, OutOfSpace, OSError."""
    root = links.links_root(file.version.artifact.type)
    try:
        if root is None or not file.link_name:
            path_of(file.blob_id).stat()
            return path_of(file.blob_id)
        return links.make_link(root, file.link_name, file.blob_id)
    except FileNotFoundError as error:
        raise NotFound(f"the content of {file.version} ({file.path}) is missing in the server's store") from error


def file_of(version: ArtifactVersion) -> ArtifactFile:
    """The one file of a version. Raises NotFound for one whose content was purged."""
    file = ArtifactFile.objects.select_related("version__artifact").filter(version=version).first()
    if file is None:
        raise NotFound(f"{version} has no content: it was purged")
    return file


def readable_path(version: ArtifactVersion) -> Path:
    """The path of the version's file that a job may open; its name ends as that of the published file did.

    Raises NotFound when the content is gone, OutOfSpace or OSError when the link is missing and cannot be made.
    """
    return link(file_of(version))


def delete_versions(artifact: Artifact, *, by: User | None = None) -> int:
    """How many versions could be read and now cannot; their links are gone, their content stays until a purge.

    Raises Forbidden, and deletes none, when one is not `by`'s own; without `by` all go. Raises Conflict while a
    training session needs them; one that begins at the same moment waits.
    """
    now = timezone.now()
    with transaction.atomic():
        Artifact.objects.select_for_update().get(pk=artifact.pk)
        mine = ArtifactVersion.objects.ready().filter(artifact=artifact)
        if by is not None:
            refuse_others(mine, by)
        refuse_in_use(artifact)
        names = list(ArtifactFile.objects.filter(version__in=mine).values_list("link_name", flat=True))
        count = mine.update(status=VersionStatus.DELETED, deleted_at=now, updated_at=now)
        Artifact.objects.filter(pk=artifact.pk).update(updated_at=now)
        transaction.on_commit(partial(remove_links, artifact.type, names))
    return count


def refuse_others(versions: QuerySet[ArtifactVersion], user: User) -> None:
    """Raises Forbidden that names the newest version which is not the user's: others' trainings may add versions."""
    other = versions.exclude(owner=user).select_related("artifact", "owner").order_by("-number").first()
    if other is None:
        return
    whose = f"belongs to {other.owner.get_username()}" if other.owner else "belongs to nobody"
    said = f"version {other.number} of {other.artifact.type} '{other.artifact.name}' {whose}"
    raise Forbidden(f"{said}: only an administrator can delete it")


def remove_links(type: str, names: Iterable[str]) -> None:
    root = links.links_root(type)
    if root is None:
        return
    for name in filter(None, names):
        try:
            links.remove_link(root, name)
        except OSError as error:
            log.warning("the link %s stays until the next upkeep: %s", name, error)
