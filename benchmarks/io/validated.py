"""Read stored files back: JSON of a stated shape, and arrays; anything else is refused in one sentence.

Files may be damaged or come from elsewhere, so nothing in them is taken on trust: no object is unpickled, values are of
the types that are stated, and names that become paths are names.
"""

import re
from pathlib import Path
from typing import Annotated, Any, TypeVar, is_typeddict, overload

import msgspec
import numpy as np

from benchmarks.errors import BadInput

_T = TypeVar("_T")

NAME_PATTERN = r"\A[A-Za-z0-9_][A-Za-z0-9._-]{0,199}\Z"
Name = Annotated[str, msgspec.Meta(pattern=NAME_PATTERN)]
"""A text that may become part of a path: no separators, no dot in front, at most 200 characters."""
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


TRAIN_AGAIN = "remove its folder and give the command that made it again: only this training is repeated"
"""What to do about a damaged training."""


def is_name(text: str) -> bool:
    """Tell whether a text may become part of a path."""
    return re.search(NAME_PATTERN, text) is not None


@overload
def read_json(path: Path, *, recovery_hint: str) -> Any: ...
@overload
def read_json(path: Path, kind: type[_T], *, recovery_hint: str) -> _T: ...
def read_json(path: Path, kind: Any = Any, *, recovery_hint: str) -> Any:
    """Read a JSON file as `kind`: a dataclass, a TypedDict, or any type hint of plain values.

    A dataclass takes the fields it has. A TypedDict says of what type its keys are, and the others stay as they are.

    Parameters
    ----------
    recovery_hint
        What to do if the file is damaged.

    Raises
    ------
    BadInput
        If it is missing, not JSON, or of another shape, naming the place.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise BadInput(f"{path} is missing; {recovery_hint}.") from None
    try:
        return parse_as(msgspec.json.decode(content), kind)
    except (ValueError, msgspec.MsgspecError, RecursionError) as error:
        raise BadInput(f"{path} is damaged ({one_line(error)}); {recovery_hint}.") from None


def read_json_lines(path: Path, kind: Any = Any, *, recovery_hint: str) -> list[Any]:
    """Read a file with a JSON value on every line; see `read_json`."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise BadInput(f"{path} is missing; {recovery_hint}.") from None
    try:
        return [parse_as(msgspec.json.decode(line), kind) for line in content.splitlines()]
    except (ValueError, msgspec.MsgspecError, RecursionError) as error:
        raise BadInput(f"{path} is damaged ({one_line(error)}); {recovery_hint}.") from None


def parse_as(value: Any, kind: type[_T]) -> _T:
    """Turn plain values into `kind`, as `read_json` does.

    Raises
    ------
    ValueError
        Saying where what was expected.
    """
    try:
        parsed = msgspec.convert(value, kind)
    except msgspec.MsgspecError as error:
        what = str(error).replace(f"Expected `str` matching regex {NAME_PATTERN!r}", "No name that a run gives")
        raise ValueError(what) from None
    return value if is_typeddict(kind) else parsed


def read_arrays(path: Path, *, recovery_hint: str) -> dict[str, np.ndarray]:
    """Read every array of an .npz file; none is unpickled.

    Raises
    ------
    BadInput
        If it is missing, damaged, or holds objects.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except FileNotFoundError:
        raise BadInput(f"{path} is missing; {recovery_hint}.") from None
    except Exception as error:  # zip, deflate and numpy's own format raise many types of errors for damaged bytes
        raise BadInput(f"{path} holds no arrays that can be read ({type(error).__name__}); {recovery_hint}.") from None


def map_array(path: Path, *, recovery_hint: str) -> np.ndarray:
    """Map an .npy file into memory; one that holds objects is refused.

    Raises
    ------
    BadInput
        If it is missing, damaged, or holds objects.
    """
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise BadInput(f"{path} is missing; {recovery_hint}.") from None
    except Exception as error:  # a damaged header is parsed as Python, and fails in as many ways
        raise BadInput(f"{path} holds no array that can be read ({type(error).__name__}); {recovery_hint}.") from None


def one_line(error: BaseException) -> str:
    """Return the first line of what an error says, cut where it is long."""
    text = " ".join((str(error).strip() or type(error).__name__).splitlines()[0].split())
    return text.rstrip(".") if len(text) <= 200 else f"{text[:199]}…"
