"""What two stores do not have in common."""

import json

# Results that say how long something took say it differently each time.
TIMES = {"seconds", "took_seconds", "images_per_second"}


def differences(one, other):
    """Return a line for each key and file that only one store has, or that differs."""
    first, second = _entries(one), _entries(other)
    found = [f"{key}: in one store only" for key in sorted(first.keys() ^ second.keys())]
    for key in sorted(first.keys() & second.keys()):
        names = first[key].keys() | second[key].keys()
        found += [
            f"{key}: {name}"
            for name in sorted(names)
            if _content(first[key].get(name)) != _content(second[key].get(name))
        ]
    return found


def _entries(store):
    """Return {key: {name of a file: its path}} without manifests, which hold times."""
    return {
        folder.name: {
            path.relative_to(folder).as_posix(): path
            for path in folder.rglob("*")
            if path.is_file() and path.name != "manifest.json"
        }
        for folder in (store.root / "objects").glob("*/*")
    }


def _content(path):
    if path is None:
        return None
    if path.suffix == ".json":
        return _without_times(json.loads(path.read_bytes()))
    return path.read_bytes()


def _without_times(value):
    if isinstance(value, dict):
        return {k: _without_times(v) for k, v in value.items() if k not in TIMES}
    if isinstance(value, list):
        return [_without_times(v) for v in value]
    return value
