"""ZIPs of plain members: the same bytes from the same content, and nothing believed."""

import io
import zipfile

import pytest

from cemfp.storage import stored_zip
from cemfp.storage.stored_zip import ZipError

MEMBERS = {"b": b"second", "a": b"", "c": bytes(range(256))}


def unpack(data, most_bytes=1 << 20, most_members=3):
    return stored_zip.unpack(data, most_bytes=most_bytes, most_members=most_members)


def test_members_come_back_in_their_order():
    data = stored_zip.pack(MEMBERS)
    assert stored_zip.pack(MEMBERS) == data
    members, damaged = unpack(data)
    assert list(members.items()) == list(MEMBERS.items()) and damaged == set()


@pytest.mark.parametrize("name", ["b", "c"])
def test_a_damaged_member_is_named_and_given_as_it_is(name):
    data = bytearray(stored_zip.pack(MEMBERS))
    place = data.index(MEMBERS[name])
    data[place] ^= 1
    members, damaged = unpack(bytes(data))
    assert damaged == {name}
    assert members[name] == bytes([MEMBERS[name][0] ^ 1]) + MEMBERS[name][1:]


def packed(*entries, compression=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name in entries:
            archive.writestr(name, b"0" * 1000)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no ZIP"),
        (stored_zip.pack(MEMBERS)[:-1], "no ZIP"),
        (packed("a", "b", "c", "d"), "at most 3 members"),
        (packed("a", compression=zipfile.ZIP_DEFLATED), "not compressed"),
        (b"0" * (1 << 20) + b"0", "at most 1048576 bytes"),
    ],
    # A ZIP holds the time: test processes would not agree on names made of it.
    ids=["empty", "cut off", "too many", "compressed", "too large"],
)
def test_what_is_none_is_refused(data, words):
    with pytest.raises(ZipError, match=words):
        unpack(data)


def test_a_member_there_twice_is_refused():
    data = packed("a", "b").replace(b"b", b"a")
    with pytest.raises(ZipError, match="each once"):
        unpack(data)
