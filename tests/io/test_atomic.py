"""Files and folders appear whole or not at all, and nothing half written stays behind."""

import pytest

from benchmarks.io.atomic import whole_file, whole_folder, write_text


def test_a_file_keeps_its_old_content_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "table.csv"
    write_text(path, "old")
    with whole_file(path) as unfinished:
        unfinished.write_text("new")
        assert path.read_text() == "old"
        assert (unfinished.parent, unfinished.suffix) == (tmp_path, ".csv")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def fill_half(whole, inside):
    with whole as unfinished:
        (unfinished / inside if inside else unfinished).write_text("half")
        raise ZeroDivisionError


@pytest.mark.parametrize("replace", [False, True])
def test_what_fails_half_way_leaves_nothing(tmp_path, replace):
    write_text(tmp_path / "file", "old")
    with pytest.raises(ZeroDivisionError):
        fill_half(whole_file(tmp_path / "file"), "")
    with pytest.raises(ZeroDivisionError):
        fill_half(whole_folder(tmp_path / "folder", replace=replace), "half")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "old"


@pytest.mark.parametrize(("replace", "stays"), [(False, "first"), (True, "second")])
def test_of_two_that_fill_a_folder_the_first_stays(tmp_path, replace, stays):
    folder = tmp_path / "deep" / "folder"
    with whole_folder(folder, replace=replace) as second:
        with whole_folder(folder, replace=replace) as first:
            (first / "name").write_text("first")
        (second / "name").write_text("second")
    assert (folder / "name").read_text() == stays
    assert list(folder.parent.iterdir()) == [folder]


def test_leftovers_of_a_killed_process_are_removed(tmp_path):
    (tmp_path / ".folder-abc").mkdir()
    with whole_folder(tmp_path / "folder"):
        assert (tmp_path / ".folder-abc").exists()  # it may be at work
    with whole_folder(tmp_path / "folder", sole_writer=True):
        assert not (tmp_path / ".folder-abc").exists()
