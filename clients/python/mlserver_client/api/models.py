"""Answers as objects: `Experiment.from_dict(client.get_run(id))`. Fields that an answer lacks get an empty value."""

import datetime
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Answer = Mapping[str, Any]


def instant(epoch_s: float) -> datetime.datetime:
    """In UTC."""
    return datetime.datetime.fromtimestamp(epoch_s, datetime.timezone.utc)


@dataclass
class Experiment:
    """Times are seconds since the epoch."""

    id: str
    project: str
    name: str
    status: str
    created_at: float
    updated_at: float
    summary: dict[str, Any] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)

    @classmethod
    def from_dict(cls, data: Answer) -> "Experiment":
        created_at = data.get("created_at") or data.get("created_time") or 0.0
        return cls(
            id=data["id"],
            project=data.get("project") or "",
            name=data.get("name") or "",
            status=data.get("status") or "finished",
            created_at=created_at,
            updated_at=data.get("updated_at") or created_at,
            summary=dict(data.get("summary") or {}),
            tags=list(data.get("tags") or []),
        )

    @property
    def created_datetime(self) -> datetime.datetime:
        return instant(self.created_at)

    @property
    def updated_datetime(self) -> datetime.datetime:
        return instant(self.updated_at)


@dataclass
class MetricPoint:
    step: int
    value: float
    timestamp: float

    @classmethod
    def from_dict(cls, data: Answer) -> "MetricPoint":
        return cls(step=data["step"], value=data["value"], timestamp=data.get("timestamp") or 0.0)


@dataclass
class MetricSeries:
    """The points of one name, oldest first."""

    name: str
    points: list[MetricPoint]

    @classmethod
    def from_dict(cls, name: str, points_data: Iterable[Answer]) -> "MetricSeries":
        return cls(name, [MetricPoint.from_dict(point) for point in points_data])

    @property
    def values(self) -> list[float]:
        return [point.value for point in self.points]

    @property
    def steps(self) -> list[int]:
        return [point.step for point in self.points]

    def last_value(self) -> float | None:
        return self.points[-1].value if self.points else None

    def min_value(self) -> float | None:
        """Of the finite ones."""
        return min(self._finite(), default=None)

    def max_value(self) -> float | None:
        """Of the finite ones."""
        return max(self._finite(), default=None)

    def _finite(self) -> list[float]:
        return [value for value in self.values if value is not None and math.isfinite(value)]


@dataclass
class Artifact:
    name: str
    version: int
    type: str
    created_at: float
    size_bytes: int
    metadata: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, data: Answer) -> "Artifact":
        return cls(
            name=data["name"],
            version=data["version"],
            type=data.get("type") or "custom",
            created_at=data.get("created_at") or 0.0,
            size_bytes=data.get("size_bytes") or 0,
            metadata=dict(data.get("metadata") or {}),
        )

    @property
    def id(self) -> str:
        return f"{self.name}:v{self.version}"

    @property
    def created_datetime(self) -> datetime.datetime:
        return instant(self.created_at)

    @property
    def size_mb(self) -> float:
        """Of 1024 * 1024 bytes."""
        return self.size_bytes / 1024**2


@dataclass
class RemoteSession:
    session_id: str
    connection_id: str
    remote_host: str
    remote_port: int
    local_port: int
    remote_root: str
    status: str
    created_at: float

    @classmethod
    def from_dict(cls, data: Answer) -> "RemoteSession":
        return cls(
            session_id=data["session_id"],
            connection_id=data.get("connection_id") or "",
            remote_host=data.get("remote_host") or "",
            remote_port=data.get("remote_port") or 0,
            local_port=data.get("local_port") or 0,
            remote_root=data.get("remote_root") or "",
            status=data.get("status") or "",
            created_at=data.get("created_at") or 0.0,
        )

    @property
    def local_url(self) -> str:
        return f"http://localhost:{self.local_port}"


@dataclass
class Project:
    name: str
    experiment_count: int
    latest_update: float

    @classmethod
    def from_dict(cls, data: Answer) -> "Project":
        return cls(data["name"], data.get("experiment_count") or 0, data.get("latest_update") or 0.0)
