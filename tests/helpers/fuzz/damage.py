"""Valid files and words damaged in every way that files get damaged: strategies of hypothesis."""

import gzip
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from hypothesis import strategies as st

NASTY = (
    "", " ", "nan", "NaN", "-inf", "inf", "1e400", "1e39", "-1", "0", "1", "1.5", "-0.0", "0x1F", "1_000", "9" * 400,
    "9223372036854775808", "4294967296", "２", "1,5", "None", "null", "true", "[]", "{}", "../../x", "/etc/passwd", "~",
    "..", ".", "a/b", "a\\b", "C:\\x", "\x00", "\ufeff", "\u202e", "\u2028", "\x85", "\x1c", "\x1b[31m", "é", "😀",
    "序列", "<script>alert(1)</script>", "'\"<b>&", "$\\frac$", "=1+1", "%s%n", "{0}", "{{7*7}}", "$(touch x)",
    "`touch x`", "A" * 230, "ACGTN" * 50, "acgt", "N" * 249, "A" * 5000, '"', "'", "\\", "\t", "\r", "\n", "\r\n", ",",
    "#", ">", "@", "train", "K562", "chr1", "chr2L", "+", "-",
)  # fmt: skip
"""Cells, values and names that readers stumble over."""

texts = st.one_of(st.sampled_from(NASTY), st.text(max_size=20))
places = st.integers(0, 2**16)
"""Where something is damaged: taken modulo whatever there is."""


def often(draw: Any, n: int) -> bool:
    """Say no once in n times."""
    return draw(st.sampled_from([True] * (n - 1) + [False]))


def _flip(content: bytes, a: int, b: int, text: str) -> bytes:
    if not content:
        return content
    found = bytearray(content)
    for i in range(1 + b % 4):
        found[(a * 7919 + i * b) % len(found)] ^= 1 << (b + i) % 8
    return bytes(found)


def _at(content: bytes, a: int) -> int:
    return a * len(content) // 2**16


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


_BYTES: dict[str, Callable[[bytes, int, int, str], bytes]] = {
    "flip": _flip,
    "cut": lambda content, a, b, text: content[: _at(content, a)],
    "head off": lambda content, a, b, text: content[1 + a % 50 :],
    "span out": lambda content, a, b, text: content[: _at(content, a)] + content[_at(content, a) + 1 + b % 200 :],
    "span twice": lambda content, a, b, text: content[: _at(content, a)] + content[max(0, _at(content, a) - b % 200) :],
    "insert": lambda content, a, b, text: content[: _at(content, a)] + _raw(text) + content[_at(content, a) :],
    "append": lambda content, a, b, text: content + _raw(text),
    "empty": lambda content, a, b, text: b"",
    "only text": lambda content, a, b, text: _raw(text),
    "zeros": lambda content, a, b, text: (
        content[: _at(content, a)] + bytes(1 + b % 64) + content[_at(content, a) + 1 + b % 64 :]
    ),
    "crlf": lambda content, a, b, text: content.replace(b"\n", b"\r\n"),
    "cr": lambda content, a, b, text: content.replace(b"\n", b"\r"),
    "utf-16": lambda content, a, b, text: content.decode("latin-1").encode("utf-16"),
    "byte order mark": lambda content, a, b, text: b"\xef\xbb\xbf" + content,
    "latin-1": lambda content, a, b, text: content[: _at(content, a)] + b"\xe9\xff" + content[_at(content, a) :],
    "gzip": lambda content, a, b, text: gzip.compress(content, 1),
    "gzip cut": lambda content, a, b, text: gzip.compress(content, 1)[: 1 + a % 200],
    "gzip and more": lambda content, a, b, text: gzip.compress(content, 1) + _raw(text),
    "gzip flipped": lambda content, a, b, text: _flip(gzip.compress(content, 1), a, b, text),
    "gzip bomb": lambda content, a, b, text: gzip.compress(content[:1000] + b"A" * 3_000_000, 1),
    "reversed": lambda content, a, b, text: content[::-1],
}


@st.composite
def damaged_bytes(draw: Any, content: bytes) -> bytes:
    """Damage a file without knowing what it is."""
    for _ in range(draw(st.integers(1, 2))):
        how = draw(st.sampled_from(list(_BYTES)))
        content = _BYTES[how](content, draw(places), draw(places), draw(texts))
    return content


def _of_table(rows: list[list[str]], how: str, a: int, b: int, text: str) -> list[list[str]]:
    rows = [list(row) or [""] for row in rows]
    n, width = len(rows), max(map(len, rows))
    row, other, column, second = a % n, b % n, a // 7 % width, b // 7 % width
    if how == "cell":
        rows[row][column % len(rows[row])] = text
    elif how == "column of":
        rows = [
            [text if i == column and (at or b % 2) else cell for i, cell in enumerate(r)] for at, r in enumerate(rows)
        ]
    elif how == "column out":
        rows = [r[:column] + r[column + 1 :] for r in rows]
    elif how == "column twice":
        rows = [[*r[: column + 1], *r[column:]] for r in rows]
    elif how == "columns swapped":
        order = list(range(width))
        order[column], order[second] = order[second], order[column]
        rows = [[r[i] for i in order if i < len(r)] for r in rows]
    elif how == "row out":
        del rows[row]
    elif how == "row twice":
        rows.insert(other, rows[row])
    elif how == "row again, otherwise":
        rows.insert(other, [*rows[row][:column], text, *rows[row][column + 1 :]])
    elif how == "rows swapped":
        rows[row], rows[other] = rows[other], rows[row]
    elif how == "name":
        rows[0][column % len(rows[0])] = text
    elif how == "no header":
        rows = rows[1:]
    elif how == "header alone":
        rows = rows[:1]
    elif how == "few rows":
        rows = rows[: 1 + b % 4]
    elif how == "cell out":
        rows[row] = rows[row][:-1]
    elif how == "cell more":
        rows[row] = [*rows[row], text]
    elif how == "blank row":
        rows.insert(row, [""])
    elif how == "cell of elsewhere":
        rows[row][column % len(rows[row])] = rows[other][second % len(rows[other])]
    return rows


_TABLE = [
    "cell", "cell", "cell", "column of", "column out", "column twice", "columns swapped", "row out", "row twice",
    "row again, otherwise", "rows swapped", "name", "no header", "header alone", "few rows", "cell out", "cell more",
    "blank row", "cell of elsewhere",
]  # fmt: skip


@st.composite
def damaged_table(draw: Any, text: str, separators: str = "\t, ;") -> bytes:
    """Damage a table cell by cell, and sometimes the file that it is in; the first separator is its own."""
    rows = [line.split(separators[0]) for line in text.splitlines()]
    for _ in range(draw(st.integers(1, 3))):
        rows = _of_table(rows, draw(st.sampled_from(_TABLE)), draw(places), draw(places), draw(texts)) or [[""]]
    separator = separators[0] if often(draw, 10) else draw(st.sampled_from(separators))
    content = "".join(separator.join(row) + "\n" for row in rows).encode("utf-8", "surrogatepass")
    return content if often(draw, 4) else draw(damaged_bytes(content))


json_values = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), texts,
    st.sampled_from([[], {}, [[]], {"a": {}}]),
    st.lists(texts, max_size=2), st.dictionaries(texts, st.one_of(st.none(), st.integers(), texts), max_size=2),
)  # fmt: skip


@st.composite
def damaged_value(draw: Any, value: Any) -> Any:
    """Replace, remove or rename something anywhere in a value of JSON."""
    value = json.loads(json.dumps(value))
    for _ in range(draw(st.integers(1, 2))):
        spots = list(_spots(value))
        if not spots:
            return draw(json_values)
        holder, key = spots[draw(places) % len(spots)]
        how = draw(
            st.sampled_from(
                [
                    "other",
                    "other",
                    "other",
                    "other",
                    "out",
                    "out",
                    "renamed",
                    "wrapped",
                    "deep",
                    "of elsewhere",
                    "of elsewhere",
                ]
            )
        )
        if how == "other":
            holder[key] = draw(json_values)
        elif how == "out":
            del holder[key]
        elif how == "renamed" and isinstance(holder, dict):
            holder[draw(texts)] = holder.pop(key)
        elif how == "wrapped":
            holder[key] = [holder[key]] if draw(st.booleans()) else {"a": holder[key]}
        elif how == "deep":
            for _ in range(draw(st.sampled_from([2, 20, 300]))):
                holder[key] = [holder[key]]
        else:
            other, place = spots[draw(places) % len(spots)]
            holder[key] = json.loads(json.dumps(other[place])) if place in _keys(other) else None
    return value


def _keys(holder: Any) -> Any:
    return range(len(holder)) if isinstance(holder, list) else holder.keys()


def _spots(value: Any) -> Iterator[tuple[Any, Any]]:
    """Give every place in a value: what holds it and under which key."""
    for key in _keys(value) if isinstance(value, (list, dict)) else ():
        yield value, key
        yield from _spots(value[key])


@st.composite
def damaged_json(draw: Any, value: Any) -> bytes:
    """Damage a JSON file: its value, its text, or both."""
    if often(draw, 5):
        value = draw(damaged_value(value))
    text = json.dumps(value) if often(draw, 20) else draw(st.sampled_from(["[" * 100_000, "9" * 5000, "NaN"]))
    content = text.encode()
    return content if often(draw, 4) else draw(damaged_bytes(content))


class Trap:
    """Leaves a file behind where it is unpickled."""

    def __init__(self, mark: str):
        self.mark = mark

    def __reduce__(self) -> Any:
        return open, (self.mark, "w")


def _other_array(array: np.ndarray, how: str) -> np.ndarray:
    if how == "object":
        return np.array([Trap("unpickled")], dtype=object)
    if how == "empty":
        return array[:0]
    if how == "scalar":
        return np.array(1.5)
    if how == "shorter":
        return array[:-1] if array.ndim else array
    if how == "longer":
        return np.concatenate([array, array[:1]]) if array.ndim else array
    if how == "another axis":
        return array[..., None]
    if how == "text":
        return np.full(array.shape, "<b>x", dtype="U4")
    if how == "flags":
        return np.zeros(array.shape, dtype=bool)
    if how == "complex":
        return np.ones(array.shape, dtype=complex)
    if how == "dates":
        return np.zeros(array.shape, dtype="datetime64[s]")
    if how == "records":
        return np.zeros(array.shape, dtype=[("a", "i4"), ("b", "f8")])
    if array.dtype.kind not in "iuf":
        return np.roll(array, 1)
    with np.errstate(all="ignore"):
        numbers = array.astype(np.float64)
        numbers.flat[:: max(1, numbers.size // 3)] = {"nan": np.nan, "huge": 1e300, "negative": -7}.get(how, np.inf)
        return numbers if array.dtype.kind == "f" or how == "nan" else numbers.clip(-(2**30), 2**30).astype(np.int64)


_ARRAYS = (
    "object", "empty", "scalar", "shorter", "longer", "another axis", "text", "flags", "complex", "dates", "records",
    "nan", "huge", "negative", "infinite",
)  # fmt: skip


@st.composite
def damaged_arrays(draw: Any, content: bytes) -> bytes:
    """Damage an .npz file: an array of it, the names, the archive."""
    if not often(draw, 4):
        return draw(damaged_bytes(content))
    with np.load(io.BytesIO(content)) as arrays:
        found = dict(arrays)
    name = draw(st.sampled_from(sorted(found)))
    how = draw(st.sampled_from([*_ARRAYS, "out", "renamed", "one more"]))
    if how == "out":
        del found[name]
    elif how == "renamed":
        found["other"] = found.pop(name)
    elif how == "one more":
        found["output_other"] = found[name]
    else:
        found[name] = _other_array(found[name], how)
    file = io.BytesIO()
    np.savez(file, **found)
    return file.getvalue()


@st.composite
def damaged_array(draw: Any, content: bytes) -> bytes:
    """Damage an .npy file: its values or its header."""
    if draw(st.booleans()):
        return draw(damaged_bytes(content))
    file = io.BytesIO()
    np.save(file, _other_array(np.load(io.BytesIO(content)), draw(st.sampled_from(_ARRAYS))))
    return file.getvalue()


def zipped(entries: dict[str, bytes]) -> bytes:
    """Pack files as a zip archive, whatever their names."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in entries.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return file.getvalue()
