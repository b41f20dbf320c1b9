"""The file of a backup: what was not written as it stands there is told, whatever happened to it."""

from __future__ import annotations

import io
import subprocess
import tarfile

import pytest

from leaderboard.operations import archive
from leaderboard.operations.archive import DamagedBackupError

MEMBERS = {
    "header.json": b'{"format": 1}',
    f"files/{'a' * 64}": b"content" * 999,
    f"files/{'b' * 64}": b"",
    "tables/accounts.User.jsonl.gz": b"rows",
}


def written(members=MEMBERS, *, close=True) -> bytes:
    out = io.BytesIO()
    writer = archive.Writer(out)
    for name, content in members.items():
        writer.add(name, io.BytesIO(content), size=len(content))
    if close:
        writer.close()
    else:
        writer._tar.close()
    return out.getvalue()


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a.standings"
    path.write_bytes(written())
    return path


def test_what_was_written_is_read_again(file):
    archive.verify(file)
    found = {name: content.read() for name, content, _ in archive.members(file)}
    assert {name: found[name] for name in MEMBERS} == MEMBERS
    assert list(found) == [*MEMBERS, archive.SUMS]


def test_other_programs_open_and_check_it(file, tmp_path):
    subprocess.run(["tar", "-xf", file], cwd=tmp_path, check=True)
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=tmp_path, check=True, capture_output=True)


def refused(path, raw, *, match=None):
    path.write_bytes(raw)
    with pytest.raises(DamagedBackupError, match=match):
        archive.verify(path)


@pytest.mark.parametrize("name", [*(name for name, content in MEMBERS.items() if content), archive.SUMS])
def test_one_flipped_bit_in_a_member_is_told_with_its_name(file, name):
    raw = bytearray(file.read_bytes())
    with tarfile.open(file) as tar:
        member = tar.getmember(name)
    raw[member.offset_data + member.size // 2] ^= 1
    refused(file, bytes(raw), match="checksums|not what was written" if name == archive.SUMS else name)


@pytest.mark.parametrize("name", [*MEMBERS, archive.SUMS])
@pytest.mark.parametrize("place", [0, 130, 150], ids=["name", "size", "checksum"])
def test_one_flipped_bit_in_a_header_is_told(file, name, place):
    raw = bytearray(file.read_bytes())
    with tarfile.open(file) as tar:
        raw[tar.getmember(name).offset + place] ^= 1
    refused(file, bytes(raw))


@pytest.mark.parametrize("left", [0, 1, 511, 512, 700, 3000, 9000])
def test_a_file_that_was_cut_off_is_told(file, left):
    refused(file, file.read_bytes()[:left])


def test_a_backup_that_was_not_finished_is_told(file):
    refused(file, written(close=False), match="no end")


@pytest.mark.parametrize("gone", MEMBERS)
def test_a_member_that_was_taken_out_is_told(file, gone):
    whole = file.read_bytes()
    sums = dict(archive_members(whole))[archive.SUMS]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.GNU_FORMAT) as tar:
        for name, content in [*((n, c) for n, c in MEMBERS.items() if n != gone), (archive.SUMS, sums)]:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    refused(file, out.getvalue())


def archive_members(raw):
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        return [(member.name, tar.extractfile(member).read()) for member in tar]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("../../etc/cron.d/x", tarfile.REGTYPE),
        ("/etc/passwd", tarfile.REGTYPE),
        ("files/" + "A" * 64, tarfile.REGTYPE),
        ("files/" + "a" * 64, tarfile.SYMTYPE),
        ("header.json", tarfile.LNKTYPE),
        ("header.json", tarfile.FIFOTYPE),
        ("tables/x.y.jsonl.gz/../../z", tarfile.REGTYPE),
    ],
)
def test_names_and_kinds_that_no_backup_has_are_refused(file, name, kind):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, "elsewhere"
        tar.addfile(member)
    refused(file, out.getvalue(), match="not a backup")


def test_some_other_file_is_no_backup(file):
    refused(file, b"PK\x03\x04 no tar at all" * 200)


def test_memory_does_not_grow_with_the_members():
    """A TarFile that remembered its members would hold a kilobyte for each."""
    writer = archive.Writer(io.BytesIO())
    for number in range(50):
        writer.add(f"files/{number:064x}", io.BytesIO(b""), size=0)
    assert writer._tar.members == []
