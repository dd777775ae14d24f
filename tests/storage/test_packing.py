"""What a store unpacks from elsewhere: everything that `pack` wrote, nothing that it did not."""

import json
import stat
import zipfile

import pytest

from cemfp.storage.packing import manifest_in, pack, unpack
from cemfp.storage.store import CorruptEntry


@pytest.fixture
def entry(tmp_path):
    root = tmp_path / "entry"
    (root / "deep" / "er").mkdir(parents=True)
    files = {"a.bin": b"alpha", "deep/er/b.bin": b"beta" * 50, "empty": b""}
    for name, data in files.items():
        (root / name).write_bytes(data)
    table = {name: {"size": len(data)} for name, data in files.items()}
    (root / "manifest.json").write_text(json.dumps({"files": table}))
    return root


def tree(root):
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def unpacked(archive, tmp_path):
    out = tmp_path / "x" / "y" / "out"
    out.mkdir(parents=True)
    unpack(archive, out)
    return tree(out)


def forge(path, *members, **sizes):
    """A ZIP of (name or ZipInfo, data) whose manifest lists `sizes`."""
    manifest = {"files": {name: {"size": size} for name, size in sizes.items()}}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in (("manifest.json", json.dumps(manifest)), *members):
            archive.writestr(name, data)
    return path


def info(name, mode=stat.S_IFREG, compressed=False):
    made = zipfile.ZipInfo(name)
    made.external_attr = (mode | 0o644) << 16
    made.compress_type = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    return made


def test_an_entry_comes_back_whole(entry, tmp_path):
    pack(entry, tmp_path / "packed.zip")
    assert unpacked(tmp_path / "packed.zip", tmp_path) == tree(entry)


def test_the_end_of_a_packed_entry_holds_its_manifest(entry, tmp_path):
    pack(entry, tmp_path / "packed.zip")
    data, manifest = (tmp_path / "packed.zip").read_bytes(), (entry / "manifest.json").read_bytes()
    start = data.index(manifest)
    assert manifest_in(data) == manifest == manifest_in(data[100:])
    assert manifest_in(data[start - 10 :]) is None  # its header is cut
    assert manifest_in(data[start + 10 :]) is manifest_in(data[-30:]) is manifest_in(b"") is None


def test_a_compressed_manifest_is_not_read_from_the_end(tmp_path):
    with zipfile.ZipFile(tmp_path / "z", "w") as archive:
        archive.writestr(info("manifest.json", compressed=True), bytes(10_000_000))
    assert manifest_in((tmp_path / "z").read_bytes()) is None


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("../evil", "leads elsewhere"),
        ("a/../../evil", "leads elsewhere"),
        ("/evil", "leads elsewhere"),
        ("..\\evil", "leads elsewhere"),
        ("a//evil", "another form"),
        ("./evil", "another form"),
        ("evil/", "another form"),
    ],
)
def test_a_name_that_leads_out_of_the_entry_is_refused(tmp_path, name, what):
    archive = forge(tmp_path / "z", (info(name), b"1234"), **{name: 4})
    with pytest.raises(CorruptEntry, match=what):
        unpacked(archive, tmp_path)
    assert not list(tmp_path.rglob("evil"))


@pytest.mark.parametrize("mode", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFDIR])
def test_a_link_or_a_special_file_is_refused(tmp_path, mode):
    archive = forge(tmp_path / "z", (info("link", mode), b"/etc"), link=4)
    with pytest.raises(CorruptEntry, match="a link or a special file"):
        unpacked(archive, tmp_path)


def test_a_compressed_bomb_is_refused(tmp_path):
    bomb = info("bomb", compressed=True)
    archive = forge(tmp_path / "z", (bomb, bytes(10_000_000)), bomb=10_000_000)
    assert archive.stat().st_size < 20_000
    with pytest.raises(CorruptEntry, match="compressed"):
        unpacked(archive, tmp_path)


def test_members_that_share_their_bytes_are_refused(tmp_path):
    archive = forge(tmp_path / "z", ("a", bytes(2000)), ("b", b""), a=2000, b=2000)
    data = bytearray(archive.read_bytes())
    # In the central directory, b gets a's CRC, sizes (offsets 16 to 27) and place (42 to 45).
    first = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 4)
    second = data.index(b"PK\x01\x02", first + 4)
    for low, high in ((16, 28), (42, 46)):
        data[second + low : second + high] = data[first + low : first + high]
    archive.write_bytes(data)
    with pytest.raises(CorruptEntry, match="Received: 4"):  # 4,000 bytes and the manifest's
        unpacked(archive, tmp_path)


@pytest.mark.parametrize(
    "sizes", [{"a": 3}, {"a": 5}, {}, {"a": 4, "b": 0}, {"b": 4}, {"a": None}, {"a": "4"}]
)
def test_other_files_or_sizes_than_the_manifest_says_are_refused(tmp_path, sizes):
    archive = forge(tmp_path / "z", ("a", b"1234"), **sizes)
    with pytest.raises(CorruptEntry, match="files and sizes"):
        unpacked(archive, tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"files": 3}', '{"files": {"a": 1}}'])
def test_a_manifest_of_another_form_is_refused(tmp_path, text):
    with zipfile.ZipFile(tmp_path / "z", "w") as archive:
        archive.writestr("manifest.json", text)
        archive.writestr("a", "")
    with pytest.raises(CorruptEntry):
        unpacked(tmp_path / "z", tmp_path)


def test_a_zip_without_a_manifest_and_no_zip_at_all_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "z", "w") as archive:
        archive.writestr("a", "alpha")
    with pytest.raises(CorruptEntry, match=r"manifest\.json"):
        unpacked(tmp_path / "z", tmp_path)
    (tmp_path / "text").write_text("no zip")
    with pytest.raises(CorruptEntry, match="damaged"):
        unpack(tmp_path / "text", tmp_path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("names", [("a", "a"), ("a", "a/b"), ("a/b", "a")])
def test_one_name_for_two_things_is_refused(tmp_path, names):
    archive = forge(tmp_path / "z", *[(name, b"") for name in names], **dict.fromkeys(names, 0))
    with pytest.raises(CorruptEntry, match="every name once"):
        unpacked(archive, tmp_path)


def test_any_flipped_or_missing_byte_is_a_corrupt_entry_or_does_no_harm(entry, tmp_path):
    pack(entry, tmp_path / "good.zip")
    good, seen = (tmp_path / "good.zip").read_bytes(), 0
    cases = [bytes([*good[:n], good[n] ^ 0x80, *good[n + 1 :]]) for n in range(0, len(good), 4)]
    for number, data in enumerate(cases + [good[:n] for n in range(0, len(good), 50)]):
        (tmp_path / "bad.zip").write_bytes(data)
        try:
            assert unpacked(tmp_path / "bad.zip", tmp_path / str(number)) == tree(entry)
        except CorruptEntry:
            seen += 1
    assert seen > len(cases) / 2  # the rest are dates, flags and the like
