"""Stored JSON and arrays come back as what they are stated to be, or not at all."""

from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import pytest

from benchmarks.errors import BadInput
from benchmarks.io import validated


@dataclass(frozen=True)
class Point:
    name: validated.Name
    at: list[int]
    note: str | None = None


class Row(TypedDict, total=False):
    epoch: int


GOOD = '{"name": "a", "at": [1, 2], "more": {}}'


def test_a_dataclass_takes_the_fields_it_has(tmp_path):
    (tmp_path / "x.json").write_text(GOOD)
    assert validated.read_json(tmp_path / "x.json", Point, recovery_hint="again") == Point("a", [1, 2])


def test_a_typed_dictionary_keeps_what_it_does_not_state(tmp_path):
    (tmp_path / "x.jsonl").write_text('{"epoch": 1, "alpha": 0.5}\n{"epoch": 2}\n')
    assert validated.read_json_lines(tmp_path / "x.jsonl", Row, recovery_hint="again") == [
        {"epoch": 1, "alpha": 0.5},
        {"epoch": 2},
    ]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "truncated"),
        (b"\xff\xfe", "is damaged"),
        (b"[" * 100_000, "is damaged"),
        (b"9" * 5000, "out of range"),
        (b'{"name": "a", "at": [1.5]}', r"Expected `int`, got `float` - at `\$\.at\[0\]`"),
        (b'{"name": "../a", "at": []}', r"No name that a run gives - at `\$\.name`"),
        (b'{"at": []}', "missing required field `name`"),
        (b"[]", "Expected `object`, got `array`"),
    ],
)
def test_what_is_no_such_json_is_one_sentence(tmp_path, content, says):
    file = tmp_path / "x.json"
    file.write_bytes(content)
    for read in (validated.read_json, validated.read_json_lines):
        if content == b"" and read is validated.read_json_lines:
            continue  # no lines
        with pytest.raises(BadInput, match=says) as error:
            read(file, Point, recovery_hint="make it again")
        assert str(error.value).endswith("; make it again.")
        assert "\n" not in str(error.value)


def test_what_is_missing_is_said(tmp_path):
    for read in (validated.read_json, validated.read_json_lines, validated.read_arrays, validated.map_array):
        with pytest.raises(BadInput, match="is missing; make it again"):
            read(tmp_path / "x", recovery_hint="make it again")


def test_arrays_come_back_and_damaged_ones_do_not(tmp_path):
    file = tmp_path / "x.npz"
    np.savez_compressed(file, a=np.arange(1000.0), b=np.array(["x", "y"]))
    whole = file.read_bytes()
    found = validated.read_arrays(file, recovery_hint="again")
    assert found["a"].tolist() == list(range(1000))
    assert found["b"].tolist() == ["x", "y"]
    for content in (whole[:-30], whole[: len(whole) // 2], b"", b"text", whole[:100] + b"\0" * 50 + whole[150:]):
        file.write_bytes(content)
        with pytest.raises(BadInput, match="holds no arrays that can be read"):
            validated.read_arrays(file, recovery_hint="again")


def test_a_header_that_claims_more_than_there_is_is_refused(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((3, 4), np.uint8))
    content = (tmp_path / "x.npy").read_bytes().replace(b"(3, 4)", b"(9, 9)")
    (tmp_path / "x.npy").write_bytes(content)
    with pytest.raises(BadInput, match="holds no array that can be read"):
        validated.map_array(tmp_path / "x.npy", recovery_hint="again")
