"""Scalars out of events: both ways to write them, all types of numbers, and what is none."""

import math
import struct
from typing import Any

import numpy as np
import pytest
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.summary_pb2 import HistogramProto, Summary
from tensorboardX.proto.tensor_pb2 import TensorProto
from tensorboardX.proto.tensor_shape_pb2 import TensorShapeProto

from training.tracking.metric_files.wire import fields, scalars_of

HALF = int(np.float16(1.5).view(np.uint16))


def event_of(**value: Any) -> bytes:
    return Event(wall_time=9.5, step=7, summary=Summary(value=[Summary.Value(tag="a/b", **value)])).SerializeToString()


def values_of(**value: Any) -> list[tuple[str, float]]:
    return scalars_of(event_of(**value)).values


def test_it_reads_step_time_tag_and_value() -> None:
    found = scalars_of(event_of(simple_value=0.25))
    assert (found.step, found.wall_time, found.values) == (7, 9.5, [("a/b", 0.25)])


def test_a_step_may_be_negative_and_is_0_where_it_is_not_written() -> None:
    assert scalars_of(Event(step=-3).SerializeToString()).step == -3
    assert scalars_of(Event(wall_time=1.0).SerializeToString()).step == 0


@pytest.mark.parametrize("value", [math.inf, -math.inf])
def test_it_keeps_what_is_not_finite(value: float) -> None:
    assert values_of(simple_value=value) == [("a/b", value)]
    assert math.isnan(values_of(simple_value=math.nan)[0][1])


@pytest.mark.parametrize(
    ("tensor", "expected"),
    [
        ({"dtype": 1, "float_val": [0.5]}, 0.5),
        ({"dtype": 1, "tensor_content": struct.pack("<f", 0.5)}, 0.5),
        ({"dtype": 1}, 0.0),
        ({"dtype": 2, "double_val": [1e-300]}, 1e-300),
        ({"dtype": 2, "tensor_content": struct.pack("<d", 1e-300)}, 1e-300),
        ({"dtype": 3, "int_val": [-5]}, -5),
        ({"dtype": 3, "tensor_content": struct.pack("<i", -5)}, -5),
        ({"dtype": 4, "int_val": [200]}, 200),
        ({"dtype": 5, "int_val": [-300]}, -300),
        ({"dtype": 6, "int_val": [-3]}, -3),
        ({"dtype": 9, "int64_val": [-(2**40)]}, -(2**40)),
        ({"dtype": 9, "tensor_content": struct.pack("<q", 2**40)}, 2**40),
        ({"dtype": 17, "int_val": [60000]}, 60000),
        ({"dtype": 19, "half_val": [HALF]}, 1.5),
        ({"dtype": 19, "tensor_content": struct.pack("<e", 1.5)}, 1.5),
        ({"dtype": 14, "half_val": [0x3FC0]}, 1.5),
        ({"dtype": 14, "tensor_content": struct.pack("<H", 0x3FC0)}, 1.5),
    ],
)
def test_a_tensor_of_rank_0_is_a_number(tensor: dict[str, Any], expected: float) -> None:
    assert values_of(tensor=TensorProto(**tensor, tensor_shape=TensorShapeProto())) == [("a/b", expected)]
    assert values_of(tensor=TensorProto(**tensor)) == [("a/b", expected)]


@pytest.mark.parametrize(
    "value",
    [
        {"tensor": TensorProto(dtype=7, string_val=[b"text"])},
        {"tensor": TensorProto(dtype=10, bool_val=[True])},
        {
            "tensor": TensorProto(
                dtype=1, float_val=[1.0], tensor_shape=TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)])
            )
        },
        {"histo": HistogramProto(num=3)},
        {"image": Summary.Image(height=1, width=1, encoded_image_string=b"x")},
    ],
)
def test_texts_histograms_images_and_larger_tensors_are_none(value: dict[str, Any]) -> None:
    assert values_of(**value) == []


@pytest.mark.parametrize(
    "message",
    [b"\x08", b"\x08" + b"\xff" * 11, b"\x0a\x05ab", b"\x0b", b"\x09\x00", b"\x2a\x03\x0a\x05a"],
)
def test_what_is_no_message_is_refused(message: bytes) -> None:
    with pytest.raises(ValueError):
        scalars_of(message)


def test_fields_that_are_not_known_are_passed_over() -> None:
    assert scalars_of(b"\x10\x05" + b"\x9a\x3e\x03abc").step == 5
    assert list(fields(b"")) == []
