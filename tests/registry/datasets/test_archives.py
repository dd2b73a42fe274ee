"""Archives that attack or are torn: refused by name, before anything of them is used."""

import tarfile
import zipfile
from pathlib import Path

import pytest

from registry.datasets import archives, streams
from registry.datasets.describe import describe
from registry.datasets.facts import Unreadable
from tests.registry.datasets import making

IMAGES = making.folders("cat", "dog", count=2)


def refusal(path: Path) -> str:
    with pytest.raises(Unreadable) as caught:
        describe(path, path.name)
    return str(caught.value)


@pytest.mark.parametrize("name", ["../evil.png", "cat/../../evil.png", "/etc/evil.png", "C:/evil.png", "cat\\1.png"])
@pytest.mark.parametrize("suffix", [".tar", ".tgz", ".zip"])
def test_it_refuses_names_that_lead_out_of_the_archive(tmp_path: Path, name: str, suffix: str) -> None:
    path = making.packed(tmp_path / f"a{suffix}", {**IMAGES, name: making.image()})
    assert archives.shown(name) in refusal(path)


def test_it_refuses_a_zero_byte_in_a_zip_name(tmp_path: Path) -> None:
    path = making.zipped(tmp_path / "a.zip", {**IMAGES, "cat/1_png": b"x"})
    path.write_bytes(path.read_bytes().replace(b"cat/1_png", b"cat/1\0png"))
    assert r"'cat/1\x00png' has a backslash or a zero byte" in refusal(path)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (tarfile.SYMTYPE, "is a link"),
        (tarfile.LNKTYPE, "is a link"),
        (tarfile.CHRTYPE, "neither a plain file nor a folder"),
        (tarfile.BLKTYPE, "neither a plain file nor a folder"),
        (tarfile.FIFOTYPE, "neither a plain file nor a folder"),
    ],
)
def test_it_refuses_links_and_devices_in_a_tar(tmp_path: Path, kind: bytes, said: str) -> None:
    path = making.tar(tmp_path / "a.tar", IMAGES, making.tar_info("cat/x.png", kind, linkname="/etc/passwd"))
    assert "'cat/x.png'" in (text := refusal(path))
    assert said in text


@pytest.mark.parametrize("mode", [0o120777, 0o020644, 0o010644])
def test_it_refuses_links_and_devices_in_a_zip(tmp_path: Path, mode: int) -> None:
    info = zipfile.ZipInfo("cat/link.png")
    info.external_attr = mode << 16
    path = making.zipped(tmp_path / "a.zip", {info: b"/etc/passwd"})
    assert "'cat/link.png' is" in refusal(path)


def test_it_refuses_an_encrypted_zip(tmp_path: Path) -> None:
    path = making.zipped(tmp_path / "a.zip", {"cat/1.png": making.image()})
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    path.write_bytes(data)
    assert "'cat/1.png' is encrypted" in refusal(path)


def test_it_refuses_packing_that_may_take_any_memory(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("cat/1.png", making.image())
    assert "store or deflate it" in refusal(tmp_path / "a.zip")


def test_it_stops_unpacking_a_gzip_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "FREE_OF_RATIO_BYTES", 4 << 20)
    path = making.gzipped(tmp_path / "zeros.gz", zeros=16 << 20)
    stream = archives.members(path, "bomb.tar.gz")
    with pytest.raises(Unreadable, match="is not the tar archive|more than 200 times"):
        list(stream)


def test_it_stops_in_a_member_that_is_a_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "FREE_OF_RATIO_BYTES", 4 << 20)
    path = making.tar(tmp_path / "a.tgz", {"readme": bytes(8 << 20), **IMAGES})
    assert "more than 200 times its size" in refusal(path)


def test_it_refuses_a_zip_bomb_before_unpacking_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "FREE_OF_RATIO_BYTES", 4 << 20)
    path = making.zipped(tmp_path / "a.zip", {"readme": bytes(8 << 20)})
    assert "more than 200 times its size" in refusal(path)


def test_it_refuses_more_unpacked_bytes_than_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MAX_UNPACKED_BYTES", 1000)
    assert "unpacks to more than" in refusal(making.tar(tmp_path / "a.tgz", {"readme": bytes(2000)}))


@pytest.mark.parametrize("suffix", [".tar", ".zip"])
def test_it_refuses_too_many_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    monkeypatch.setattr(archives, "MAX_MEMBERS", 3)
    assert "more than 3 members" in refusal(making.packed(tmp_path / f"a{suffix}", IMAGES))


@pytest.mark.parametrize("suffix", [".tar", ".tgz", ".zip"])
def test_it_refuses_too_many_members_that_hold_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    path = making.packed(tmp_path / f"a{suffix}", {**IMAGES, "1": b"", "2": b"", "3": b""})
    monkeypatch.setattr(archives, "MAX_EMPTY", 3)
    assert describe(path, path.name).sample_count == len(IMAGES)
    monkeypatch.setattr(archives, "MAX_EMPTY", 2)
    assert refusal(path) == "the archive has more than 2 folders and empty files"


def test_it_refuses_a_huge_table_of_contents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_DIRECTORY_BYTES", 100)
    assert "table of contents" in refusal(making.zipped(tmp_path / "a.zip", IMAGES))


def test_it_gives_no_memory_to_a_header_that_declares_too_much(tmp_path: Path) -> None:
    huge = making.tar_block("pax", kind=tarfile.XHDTYPE, size_field=b"77777777777")
    (tmp_path / "a.tar").write_bytes(making.tar_block("a.csv", data=b"1,2\n") + huge + bytes(1024))
    assert "a header declares" in refusal(tmp_path / "a.tar")


def test_it_refuses_a_negative_size(tmp_path: Path) -> None:
    negative = making.tar_block("long", kind=tarfile.GNUTYPE_LONGNAME, size_field=b"\xff" * 12)
    (tmp_path / "a.tar").write_bytes(making.tar_block("a.csv", data=b"1,2\n") + negative + bytes(1024))
    assert "damaged" in refusal(tmp_path / "a.tar")


def test_it_survives_headers_nested_without_end(tmp_path: Path) -> None:
    block = making.tar_block("long", kind=tarfile.GNUTYPE_LONGNAME, data=b"name\0")
    (tmp_path / "a.tar").write_bytes(block * 2000 + bytes(1024))
    assert "archive" in refusal(tmp_path / "a.tar")


@pytest.mark.parametrize("share", [0.2, 0.5, 0.75])
@pytest.mark.parametrize("suffix", [".tar", ".tgz", ".zip"])
def test_it_refuses_an_archive_that_is_cut_off(tmp_path: Path, suffix: str, share: float) -> None:
    path = making.packed(tmp_path / f"a{suffix}", making.folders("cat", "dog", count=12))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    assert any(word in refusal(path) for word in ("damaged", "cut off"))


def test_it_refuses_a_tar_that_ends_between_two_members(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(b"".join(making.tar_block(name, data=data) for name, data in IMAGES.items()))
    assert "cut off at byte" in refusal(path)


def test_it_refuses_a_tar_with_a_torn_header_inside(tmp_path: Path) -> None:
    blocks = [making.tar_block(name, data=data) for name, data in IMAGES.items()]
    blocks.insert(2, b"\x01" * 512)
    (tmp_path / "a.tar").write_bytes(b"".join(blocks) + bytes(1024))
    assert "damaged or cut off" in refusal(tmp_path / "a.tar")


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.tgz", "a.zip", "a.npy", "a.npz", "a.csv"])
def test_it_refuses_content_that_is_not_what_the_name_says(tmp_path: Path, name: str) -> None:
    path = tmp_path / "upload"
    path.write_bytes(making.image(size=(40, 40)))
    with pytest.raises(Unreadable, match="its name says|not UTF-8"):
        describe(path, name)


@pytest.mark.parametrize("name", ["a.tar", "a.zip", "a.csv", "a.npz"])
def test_it_refuses_an_empty_file(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert refusal(tmp_path / name) == "the file is empty"


@pytest.mark.parametrize("name", ["a.rar", "a", "csv", "a.csv.gz", "model.pth"])
def test_it_refuses_suffixes_it_does_not_know(tmp_path: Path, name: str) -> None:
    assert "does not end in one of .csv, .npy" in refusal(making.text(tmp_path / name, "1,2\n"))


def test_it_takes_suffixes_in_any_case(tmp_path: Path) -> None:
    path = making.zipped(tmp_path / "upload", {"DATA.CSV": b"a,label\n1,2\n2,3\n"})
    assert describe(path, "Data.ZIP").sample_count == 2


@pytest.mark.parametrize("members", [{}, {"readme.txt": b"x", "inner.zip": b"PK", "model.pth": b"x"}])
@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".zip"])
def test_it_refuses_an_archive_without_samples(tmp_path: Path, suffix: str, members: dict[str, bytes]) -> None:
    path = making.packed(tmp_path / f"a{suffix}", members)
    assert refusal(path) == "the archive holds no image, CSV or NumPy file"


def test_it_refuses_two_tables_in_one_archive(tmp_path: Path) -> None:
    path = making.tar(tmp_path / "a.tar", {"a.csv": b"1,2\n", "b.csv": b"1,2\n"})
    assert "'a.csv' and 'b.csv'" in refusal(path)


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tgz", ".zip"])
def test_it_reads_a_table_inside_of_an_archive(tmp_path: Path, suffix: str) -> None:
    path = making.packed(tmp_path / f"a{suffix}", {"./.hidden.csv": b"x", "set/data.csv": b"a,b,label\n1,2,x\n3,4,y\n"})
    facts = describe(path, path.name)
    assert (facts.format, facts.sample_count, facts.dimensions, facts.class_count) == ("csv", 2, "3", 2)
