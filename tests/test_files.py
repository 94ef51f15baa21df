import json
import os
import re
import shutil
import socket
from pathlib import Path

import pytest

from projection.errors import ProjectionError
from projection.files import check_room, completed_or_removed, reserve, write_json


def test_a_file_is_durable_before_it_has_its_name_and_its_folder_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "file.h5"
    synced: list[tuple[int, bool, int]] = []
    sync = os.fsync

    def note(descriptor: int) -> None:
        found = os.fstat(descriptor)
        synced.append((found.st_ino, output.exists(), found.st_size))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    with completed_or_removed(output) as partial:
        partial.write_bytes(b"x" * 1000)
    (file, named, size), (folder, named_then, _) = synced
    assert (file, named, size) == (output.stat().st_ino, False, 1000)  # a file keeps its inode when it is renamed
    assert (folder, named_then) == (tmp_path.stat().st_ino, True)


def test_what_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    output = tmp_path / "file.h5"
    output.write_text("old")

    def fail() -> None:
        with completed_or_removed(output) as partial:
            assert partial.parent == tmp_path
            partial.write_text("half of the ne")
            assert output.read_text() == "old"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("file.h5", "old")]


def test_what_succeeds_replaces_the_old_file(tmp_path: Path) -> None:
    output = tmp_path / "new" / "folder" / "file.h5"
    for text in ("old", "new"):
        with completed_or_removed(output) as partial:
            partial.write_text(text)
        assert [(path.name, path.read_text()) for path in output.parent.iterdir()] == [("file.h5", text)]


def test_an_error_of_the_disk_is_told_with_the_name_of_the_file(tmp_path: Path) -> None:
    told = re.escape(f"{tmp_path / 'file.h5'} could not be written: No space left on device.")
    with pytest.raises(ProjectionError, match=told), completed_or_removed(tmp_path / "file.h5"):
        raise OSError(28, os.strerror(28))


def test_a_folder_that_is_a_file_is_told_too(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ProjectionError, match="could not be written"), completed_or_removed(tmp_path / "file" / "a"):
        pass


def test_a_file_that_was_not_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ProjectionError, match="could not be written"), completed_or_removed(tmp_path / "file.h5"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_leftovers_of_the_dead_are_removed_and_those_of_the_living_and_of_others_are_not(tmp_path: Path) -> None:
    here = socket.gethostname()
    dead = 4194305  # above Linux's largest process number
    removed = [f".file.h5.{here}.{owner}.partial" for owner in (dead, os.getpid())]
    kept = [
        f".file.h5.{here}.{os.getppid()}.partial",
        f".file.h5.another-machine.{dead}.partial",
        f".other.h5.{here}.{dead}.partial",
        f".file.h5.{here}.note.partial",
    ]
    for name in [*removed, *kept]:
        (tmp_path / name).write_text("")
    with completed_or_removed(tmp_path / "file.h5") as partial:
        assert not any((tmp_path / name).exists() for name in removed)
        partial.write_text("")
    assert {path.name for path in tmp_path.iterdir()} == {"file.h5", *kept}


def test_names_are_no_patterns(tmp_path: Path) -> None:
    other = tmp_path / f".a.{socket.gethostname()}.4194305.partial"
    other.write_text("")
    with completed_or_removed(tmp_path / "[ab]") as partial:
        partial.write_text("")
    assert other.exists()


def test_room_is_reserved_and_too_little_is_told(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"begin")
    reserve(path, 5, 1000)
    if hasattr(os, "posix_fallocate"):
        assert path.stat().st_size == 1005
    assert path.read_bytes()[:5] == b"begin"
    free = shutil.disk_usage(tmp_path).free
    check_room(tmp_path, free // 2)
    with pytest.raises(ProjectionError, match="Too little room"):
        check_room(tmp_path, 2 * free)


def test_an_interrupted_write_leaves_the_json_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "deep" / "a.json"
    write_json(place, {"b": 1})

    def interrupted(path: Path, text: str) -> int:
        with path.open("w") as file:
            file.write(text[:3])
        raise OSError("No space left on device")

    # half of it reaches the disk
    monkeypatch.setattr(Path, "write_text", interrupted)
    with pytest.raises(ProjectionError, match="No space"):
        write_json(place, {"b": 2})
    assert json.loads(place.read_text()) == {"b": 1}
    monkeypatch.undo()
    write_json(place, {"b": 3})
    assert json.loads(place.read_text()) == {"b": 3}
    assert [path.name for path in place.parent.iterdir()] == ["a.json"]
