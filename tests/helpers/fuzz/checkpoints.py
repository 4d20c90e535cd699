"""Checkpoints of trainings that were stopped."""

import contextlib
import io
import json
from typing import Any

from hypothesis import strategies as st

from benchmarks.io import checksums
from tests.helpers.fuzz.box import Box
from tests.helpers.fuzz.damage import Trap, damaged_arrays, damaged_bytes, damaged_json, often
from tests.helpers.fuzz.kinds import kind, needed


def _checkpoints(box: Box, model: str) -> tuple:
    """Damage the checkpoint of a training that was stopped; going on from it must end well, or in a refusal."""
    from benchmarks.apps.model_checks import SMALL, Case
    from benchmarks.engine.store import checkpoints as kept

    case = Case(model, "human_mpra", SMALL | {"epochs": 2})
    store = kept.EpochCheckpoints(box.root / "results/job.partial")
    kept_worth, kept.WORTH = kept.WORTH, 0
    try:
        with contextlib.suppress(_Killed):
            case.train(seed=3, on_epoch=_kill, checkpoints=store)
    finally:
        kept.WORTH = kept_worth
    store.begin(1)
    (folder,) = store.folder.glob("epoch-*")
    box.keep()
    place = str(folder.relative_to(box.root))
    valid = {path.name: path.read_bytes() for path in folder.iterdir()}
    ways = [st.tuples(st.just(checksums.NAME), damaged_bytes(valid[checksums.NAME]))]
    ways.append(st.tuples(st.just("training.json"), damaged_json(json.loads(valid["training.json"]))))
    ways += [st.tuples(st.just(name), _damaged_checkpoint(valid[name])) for name in valid if name.endswith(".pth")]
    ways += [st.tuples(st.just(name), damaged_arrays(valid[name])) for name in valid if name.endswith(".npz")]

    def use(found: tuple) -> int:
        (name, content), summed = found
        with box.damaged(**{f"{place}/{name}": content}):
            if summed and name != checksums.NAME:
                checksums.write(folder)
            return box.direct(lambda: case.train(seed=3, checkpoints=store), may_write=["results/job.partial"])

    return st.tuples(st.one_of(*ways), st.booleans()), use, (("training.json", valid["training.json"]), True)


class _Killed(Exception):
    pass


def _kill(row: dict) -> None:
    raise _Killed


@st.composite
def _damaged_checkpoint(draw: Any, content: bytes) -> bytes:
    import torch

    if not often(draw, 3):
        return draw(damaged_bytes(content))
    state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    name = draw(st.sampled_from(sorted(state)))
    how = draw(st.sampled_from(["trap", "out", "none", "text", "list", "empty", "tensor"]))
    if how == "out":
        del state[name]
    else:
        state[name] = {
            "trap": Trap("unpickled"), "none": None, "text": "x", "list": [1], "empty": {}, "tensor": torch.zeros(3),
        }[how]  # fmt: skip
    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()


@kind("checkpoints of torch", 100, quick=False)
def torch_checkpoints(box: Box) -> tuple:
    return _checkpoints(box, "dream_cnn")


@kind("checkpoints of keras", 20, quick=False)
def keras_checkpoints(box: Box) -> tuple:
    needed("keras")
    return _checkpoints(box, "mprann")
