"""The few fields of TensorBoard's events that hold scalars, read from protocol buffers.

Written out because the library would cost the agent more memory and start-up than the rest of this room, for three
messages: Event and Summary (tensorboard/compat/proto/event.proto, summary.proto) and TensorProto (tensor.proto).
Encoding: https://protobuf.dev/programming-guides/encoding/
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
DOUBLE, FLOAT = struct.Struct("<d"), struct.Struct("<f")
# Event
WALL_TIME, STEP, SUMMARY = 1, 2, 5
# Summary and its values
VALUE, TAG, SIMPLE_VALUE, TENSOR = 1, 1, 2, 8
# TensorProto: its type and shape, and where the element of each type stands when it is not in `tensor_content`
DTYPE, SHAPE, CONTENT, DIMENSION = 1, 2, 4, 2
FLOAT_VAL, DOUBLE_VAL, INT_VAL, INT64_VAL, HALF_VAL, UINT32_VAL, UINT64_VAL = 5, 6, 7, 10, 13, 16, 17
BFLOAT16 = 14


@dataclass(frozen=True)
class Kind:
    """A type of tensors: how an element is packed, and the field of elements."""

    packing: struct.Struct
    field: int


# By number of tensorflow's DataType (types.proto). Words and complex numbers are no metrics.
KINDS = {
    number: Kind(struct.Struct(packing), field)
    for number, packing, field in (
        (1, "<f", FLOAT_VAL), (2, "<d", DOUBLE_VAL), (3, "<i", INT_VAL), (4, "<B", INT_VAL), (5, "<h", INT_VAL),
        (6, "<b", INT_VAL), (9, "<q", INT64_VAL), (BFLOAT16, "<H", HALF_VAL), (17, "<H", INT_VAL), (19, "<e", HALF_VAL),
        (22, "<I", UINT32_VAL), (23, "<Q", UINT64_VAL),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Scalars:
    """The scalars of one event, by tag."""

    step: int
    wall_time: float
    values: list[tuple[str, float]]


def scalars_of(event: bytes) -> Scalars:
    """Raises ValueError for what is no event."""
    step, wall_time, values = 0, float("nan"), []
    for number, value in fields(event):
        if number == STEP and isinstance(value, int):
            step = signed(value)
        elif number == WALL_TIME and isinstance(value, bytes):
            wall_time = unpacked(DOUBLE, value)
        elif number == SUMMARY and isinstance(value, bytes):
            values += [one for of, part in fields(value) if of == VALUE and (one := scalar(part))]
    return Scalars(step, wall_time, values)


def scalar(value: int | bytes) -> tuple[str, float] | None:
    """Tag and number of a summary's value; None for histograms, images, texts and the like."""
    tag, found = "", None
    for number, part in fields(value) if isinstance(value, bytes) else ():
        if number == TAG and isinstance(part, bytes):
            tag = part.decode(errors="replace")
        elif number == SIMPLE_VALUE and isinstance(part, bytes):
            found = unpacked(FLOAT, part)
        elif number == TENSOR and isinstance(part, bytes):
            found = element(part)
    return (tag, found) if tag and found is not None else None


def element(tensor: bytes) -> float | None:
    """The number in a tensor of rank 0; None for any other tensor."""
    said = dict(fields(tensor))
    number, shape = said.get(DTYPE), said.get(SHAPE, b"")
    kind = KINDS.get(number) if isinstance(number, int) else None
    if kind is None or not isinstance(shape, bytes) or any(of == DIMENSION for of, _ in fields(shape)):
        return None
    content, value = said.get(CONTENT), said.get(kind.field)
    if isinstance(content, bytes) and content:
        found = unpacked(kind.packing, content)
        return widened(int(found)) if number == BFLOAT16 else found
    if value is None:
        return 0.0  # the default is not written
    if kind.field in (FLOAT_VAL, DOUBLE_VAL):
        return unpacked(kind.packing, value) if isinstance(value, bytes) else None
    whole = value if isinstance(value, int) else varint(value, 0)[0]
    return of_whole(kind, whole, is_bfloat=number == BFLOAT16)


def of_whole(kind: Kind, whole: int, *, is_bfloat: bool) -> float:
    """Halves stand as the bits of whole numbers."""
    if is_bfloat:
        return widened(whole & 0xFFFF)
    if kind.field == HALF_VAL:
        return unpacked(kind.packing, (whole & 0xFFFF).to_bytes(2, "little"))
    return float(whole if kind.field in (UINT32_VAL, UINT64_VAL) else signed(whole))


def widened(bits: int) -> float:
    """A bfloat16 is the upper half of a float."""
    return unpacked(FLOAT, (bits << 16).to_bytes(4, "little"))


def unpacked(packing: struct.Struct, value: bytes) -> float:
    """Raises ValueError when `value` has another length."""
    if len(value) != packing.size:
        raise ValueError(f"{len(value)} bytes for a number of {packing.size}")
    return float(packing.unpack(value)[0])


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field, in their order; raises ValueError for what is no message."""
    at = 0
    while at < len(message):
        key, at = varint(message, at)
        number, wire = key >> 3, key & 7
        if wire == VARINT:
            value, at = varint(message, at)
            yield number, value
            continue
        if wire == BYTES:
            size, at = varint(message, at)
        elif wire in (FIXED32, FIXED64):
            size = 4 if wire == FIXED32 else 8
        else:
            raise ValueError(f"wire type {wire}")
        if at + size > len(message):
            raise ValueError("a field ends behind its message")
        yield number, message[at : at + size]
        at += size


def varint(message: bytes, at: int) -> tuple[int, int]:
    """The number that begins at `at`, and where the next field begins; raises ValueError."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            break
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at
    raise ValueError("a number without end")


def signed(value: int) -> int:
    """Two's complement of 64 bits."""
    return value - 2**64 if value >= 2**63 else value
