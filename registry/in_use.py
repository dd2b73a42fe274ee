"""Training sessions that need a model or a dataset: nobody deletes it before they have ended.

Training knows this package, and not the other way round: the relation back from versions leads to its sessions.
"""

from typing import Any

from mlserver.errors import Conflict
from registry.models import Artifact, ArtifactType, ArtifactVersion, VersionStatus


def refuse_in_use(artifact: Artifact) -> None:
    """Raises Conflict that names the session. Only the artifact's lock keeps the answer true."""
    session = _sessions_with(artifact).first()
    if session is not None:
        said = f"{artifact.type} '{artifact.name}' is in use by training session {session.pk}"
        raise Conflict(f"{said}: stop the session first, or wait for its end")


def _sessions_with(artifact: Artifact) -> Any:
    """Of a dataset those that have not ended, of a model those that run: their weights become its next version."""
    sessions: Any = ArtifactVersion._meta.get_field("sessions").related_model._default_manager
    if artifact.type == ArtifactType.DATASET:
        used = {"dataset_version__artifact": artifact, "dataset_version__status": VersionStatus.READY}
        return sessions.unended().filter(**used)
    if artifact.type == ArtifactType.MODEL:
        return sessions.running().making(artifact.name)
    return sessions.none()
