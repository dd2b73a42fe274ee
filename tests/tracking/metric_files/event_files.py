"""Event files as TensorBoard's writers make them: by a real writer where it can, by its messages where it cannot."""

import struct
from pathlib import Path
from typing import Any

from tensorboardX import SummaryWriter
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.summary_pb2 import Summary
from tensorboardX.proto.tensor_pb2 import TensorProto

from training.tracking.metric_files.events import masked

NAME = "events.out.tfevents.1700000000.host"


def write_scalars(directory: Path, tags: dict[str, list[float]], *, at: float = 100.0) -> Path:
    """Values by tag, step by step from 0, each step one second later; the file that the writer made."""
    with SummaryWriter(logdir=str(directory)) as writer:
        for step, values in enumerate(zip(*tags.values(), strict=True)):
            for tag, value in zip(tags, values, strict=True):
                writer.add_scalar(tag, value, step, walltime=at + step)
    return next(directory.glob("events.out.tfevents.*"))


def framed(event: Event) -> bytes:
    data = event.SerializeToString()
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", masked(length)) + data + struct.pack("<I", masked(data))


def scalar(tag: str, value: float, step: int = 0, at: float = 1.0) -> bytes:
    """The older way, `simple_value`."""
    return framed(Event(wall_time=at, step=step, summary=Summary(value=[Summary.Value(tag=tag, simple_value=value)])))


def tensor(tag: str, step: int = 0, **fields: Any) -> bytes:
    """The way of TensorFlow 2; `fields` of the TensorProto."""
    value = Summary.Value(tag=tag, tensor=TensorProto(**fields))
    return framed(Event(wall_time=1.0, step=step, summary=Summary(value=[value])))


def append(path: Path, *records: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(b"".join(records))
    return path
