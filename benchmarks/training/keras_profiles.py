"""Keras models of profile tasks: training on sampled windows, beside a frozen bias model where there is one.

Source: `kundajelab/chrombpnet` (chrombpnet/training/train.py) and the ATAC variant of the challenge repository,
`de-Boer-Lab/random-promoter-dream-challenge-2022` (benchmarks/atac-seq/train_modified.py).
"""

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, cast

import msgspec
import numpy as np

from benchmarks.api import profiles
from benchmarks.api.data import Dataset, TaskSpec
from benchmarks.api.metrics import mse, pearson_r
from benchmarks.api.model import Checkpoints, History, OnEpoch
from benchmarks.errors import BadInput
from benchmarks.io import validated
from benchmarks.training import loop
from benchmarks.training.keras_backend import KerasModel, OneHot, keras, needs_xla, ops, read_weights, seed_everything
from benchmarks.training.keras_layers import RiseAndCosine, bpnet, head, profile_nll, with_bias
from benchmarks.training.profile_sampling import (
    EpochWindows,
    NothingToTrainOn,
    Regions,
    choose_accessible,
    profile_len_of,
)

__all__ = ["ProfileModel", "RiseAndCosine", "bpnet", "head", "load_bias", "on_accessible", "with_bias"]

BIAS = "bpnet_bias"
"""The model that is fitted first on every split, and its key among the prerequisites."""

WINDOWS_PER_BATCH = 64
"""Windows per forward pass without gradients, at most; predictions do not depend on it."""

SANITY_LIMIT, SANITY_WARNING = -0.5, -0.3
"""Pearson r of a bias model's counts in peaks: at or below the first nothing is trained with it."""


def load_bias(folder: Path) -> keras.Model:
    """Rebuild a bias model from the folder that it was saved in.

    Raises
    ------
    BadInput
        If the folder holds no weights.
    """
    if not (folder / "model.json").is_file():
        raise BadInput(
            f"{folder} holds no weights of the bias model (was it run with --no-save-models?); delete the folder and "
            "run again."
        )
    facts = validated.read_json(folder / "model.json", _Saved, recovery_hint=validated.TRAIN_AGAIN)
    if facts.bpnet is None:
        raise BadInput(f"{folder} contains no bias model of this project; {validated.TRAIN_AGAIN}.")
    bias = bpnet(**dataclasses.asdict(facts.bpnet), name="bias")
    try:
        bias.set_weights(read_weights(folder))
    except BadInput:
        raise
    except (ValueError, TypeError) as error:
        raise BadInput(f"{folder / 'model.npz'}: {validated.one_line(error)}; {validated.TRAIN_AGAIN}.") from None
    return bias


@dataclasses.dataclass(frozen=True)
class _Dimensions:
    """The arguments of `bpnet`."""

    filters: Annotated[int, msgspec.Meta(ge=1, le=10_000)]
    n_dilated: Annotated[int, msgspec.Meta(ge=0, le=20)]
    seq_len: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
    profile_len: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]


@dataclasses.dataclass(frozen=True)
class _Saved:
    """model.json: what is needed to rebuild a network and its bias model."""

    bpnet: _Dimensions | None = None
    bias: _Dimensions | None = None


def _dimensions(network: keras.Model) -> dict[str, int] | None:
    """Describe a network of `bpnet`; None for any other."""
    first = [layer for layer in network.layers if layer.name.endswith("bpnet_1st_conv")] if network else []
    if not first:
        return None
    return {
        "filters": first[0].filters,
        "n_dilated": sum(layer.name.endswith("conv") for layer in network.layers) - 1,
        "seq_len": network.input_shape[1],
        "profile_len": network.output_shape[0][1],
    }


def on_accessible(
    network: keras.Model,
    spec: TaskSpec,
    recipe: profiles.ProfileRecipe,
    *,
    rate: Callable[[int], Any] | None = None,
    needs_bias: bool = False,
    prerequisite_dirs: Mapping[str, Path] | None = None,
) -> "ProfileModel":
    """Return a model that trains on peaks and a sample of non-peaks, by default at a constant rate."""

    def choose(train: Dataset, val: Dataset, seed: int) -> Regions:
        return choose_accessible(train, val, spec, negative_ratio=recipe.negative_ratio, seed=seed)

    rate = rate or (lambda n_steps: recipe.max_lr)
    return ProfileModel(
        network,
        spec=spec,
        recipe=recipe,
        choose=choose,
        rate=rate,
        needs_bias=needs_bias,
        prerequisite_dirs=prerequisite_dirs,
    )


class ProfileModel(KerasModel):
    """A Keras network of profile logits and log counts that trains on windows of a Dataset.

    Parameters
    ----------
    network
        A plain `keras.Model`: (B, seq_len, 4) -> [(B, profile_len), (B, 1)]; what is saved and loaded.
    choose
        (training set, validation set, seed) -> `Regions`.
    rate
        n_steps -> learning rate or schedule.
    prerequisite_dirs
        Folders of fitted prerequisites: a model with `needs_bias` takes `bpnet_bias`, freezes it beside the network and
        fits its level to the data's background before training.
    """

    def __init__(
        self,
        network: keras.Model,
        *,
        spec: TaskSpec,
        recipe: profiles.ProfileRecipe,
        choose: Callable[[Dataset, Dataset, int], Regions],
        rate: Callable[[int], Any],
        needs_bias: bool = False,
        prerequisite_dirs: Mapping[str, Path] | None = None,
    ) -> None:
        self.network, self.spec, self.recipe, self.needs_bias = network, spec, recipe, needs_bias
        self.choose, self.rate = choose, rate
        self.outputs = profiles.OUTPUTS
        self.n_params = int(sum(np.prod(w.shape) for w in network.trainable_weights))
        self.schedule = loop.Schedule(
            recipe.epochs, recipe.batch_size, select="loss", drop_last=False, patience=recipe.patience
        )
        self.counts_weight = 1.0
        folder = (prerequisite_dirs or {}).get(BIAS) if needs_bias else None
        self._put_together(load_bias(folder) if folder else None)

    def _put_together(self, bias: keras.Model | None) -> None:
        self.bias = bias
        self._combined = with_bias(self.network, bias) if bias else self.network
        self._model = self._on_codes(self._combined)
        self._bias_model = self._on_codes(bias) if bias else None

    def _on_codes(self, network: keras.Model) -> keras.Model:
        codes = keras.Input((self.spec.seq_len,), dtype="uint8")
        model = keras.Model(codes, network(OneHot("ACGT")(codes)))
        # Dilated convolutions of tensorflow on a CPU are two to three times as fast with XLA. Whether trained here or
        # loaded, a model computes in the same way.
        jit_compile = needs_xla(on_cpu=_dimensions(self.network) is not None)
        if jit_compile != "auto":  # the default of keras, which the attribute, unlike `compile`, does not take
            model.jit_compile = jit_compile
        return model

    def fit(
        self,
        train: Dataset,
        val: Dataset,
        *,
        seed: int,
        on_epoch: OnEpoch | None = None,
        checkpoints: Checkpoints | None = None,
    ) -> History:
        """Choose the windows, fit the bias model's level, train.

        Raises
        ------
        NothingToTrainOn
            If the rules leave no window.
        ValueError
            If the bias model predicts counts in peaks that run against the measured ones.
        """
        if self.needs_bias and not self.bias:
            raise ValueError(f"This model trains beside a fitted {BIAS}, which it was not given.")
        seed_everything(seed)
        self._seed = seed
        chosen = self.choose(train, val, seed)
        self.counts_weight = chosen.counts_weight
        if self.bias:
            self._check_bias(train, val)
            self._fit_bias_level(train, val, chosen)
        return loop.fit(
            self,
            self.schedule,
            train.take(chosen.train),
            val.take(chosen.val),
            seed=seed,
            on_epoch=on_epoch,
            checkpoints=checkpoints,
        )

    def _check_bias(self, train: Dataset, val: Dataset) -> None:
        """Refuse a bias model that has learnt accessibility upside down.

        Source: `kundajelab/chrombpnet`, chrombpnet/pipelines.py, which stops at the same correlation.
        The source looks at the peaks of the test chromosomes; here those of training and validation are looked at.
        """
        measured, predicted = [], []
        for part in (train, val):
            peaks = part.take(np.flatnonzero(part.meta["is_peak"].to_numpy(dtype=bool)))
            measured.append(np.log1p(profiles.total_counts(peaks, self.spec)))
            predicted.append(self._log_counts_of_bias(peaks))
        r = pearson_r(np.concatenate(measured), np.concatenate(predicted))
        if r <= SANITY_LIMIT:
            raise ValueError(
                f"The bias model's counts correlate with r = {r:.2f} with those of peaks, at or below "
                f"{SANITY_LIMIT}: it has learnt base composition. Train it with a higher threshold: "
                "--set bpnet_bias.threshold_factor=…"
            )

    def _fit_bias_level(self, train: Dataset, val: Dataset, chosen: Regions) -> None:
        """Shift the bias model's log counts by their mean difference to the background of this dataset.

        Source: `kundajelab/chrombpnet`, `adjust_bias_model_logcounts` of
        chrombpnet/helpers/hyperparameters/find_chrombpnet_hyperparams.py: the non-peaks between the limits, before
        thinning; the bias term of the count layer moves, its weights stay.
        """
        differences = []
        for part, rows in zip((train, val), chosen.fit_level, strict=True):
            if len(rows):
                background = part.take(rows)
                measured = np.log1p(profiles.total_counts(background, self.spec))
                differences.append(measured - self._log_counts_of_bias(background))
        if not differences:
            raise NothingToTrainOn("No non-peak lies between the outlier limits, to fit the bias model's level to.")
        layer = cast(keras.Model, self.bias).get_layer("logcount_predictions")
        kernel, constant = layer.get_weights()
        layer.set_weights([kernel, constant + np.float32(np.concatenate(differences).mean())])

    def _log_counts_of_bias(self, data: Dataset) -> np.ndarray:
        return self._predicted(self._bias_model, data)["log_counts"]

    def rows_per_epoch(self, train: Dataset) -> int:
        return len(self._windows_of(train))

    def _windows_of(self, train: Dataset) -> EpochWindows:
        recipe = self.recipe
        return EpochWindows(
            train,
            self.spec,
            jitter=recipe.jitter,
            negative_ratio=recipe.negative_ratio,
            reverse_share=recipe.reverse_share,
        )

    def prepare(self, train: Dataset, n_steps: int) -> None:
        """Keep a training set and make a fresh optimiser for `n_steps` steps."""
        self._windows = self._windows_of(train)
        self._model.compile(
            optimizer=keras.optimizers.Adam(self.rate(n_steps), weight_decay=self.recipe.weight_decay or None),
            loss=[profile_nll, "mean_squared_error"],
            loss_weights=[1.0, self.counts_weight],
            jit_compile=self._model.jit_compile,
        )

    def train_batch(self, rows: np.ndarray) -> float:
        """Take one optimiser step on windows of the drawn epoch and return their loss; positions wrap around."""
        codes, profile = self._windows.batch(rows % len(self._windows))
        profile = profile.astype(np.float32)
        log_counts = np.log1p(profile.sum(axis=1, keepdims=True))
        self._model.reset_metrics()
        metrics = self._model.train_on_batch(codes, [profile, log_counts], return_dict=True)
        return float(metrics["loss"]) - float(profiles.log_multinomial_coefficient(profile).mean())

    def begin_epoch(self, epoch: int) -> None:
        """Draw the windows of an epoch, by its number."""
        self._windows.draw(np.random.default_rng([self._seed, epoch]))

    def validate(self, val: Dataset) -> dict[str, float]:
        """Score validation windows as they are: the loss of training, and the Pearson r of log counts."""
        predicted = self.predict(val)
        profile = profiles.central(val.targets["profile"], profile_len_of(self.spec))
        log_counts = np.log1p(profile.sum(axis=1, dtype=np.float64))
        nll = profiles.multinomial_nll(profile, predicted["profile_logits"]).mean()
        return {
            "val_loss": float(nll + self.counts_weight * mse(log_counts, predicted["log_counts"])),
            "val_pearson_r": pearson_r(log_counts, predicted["log_counts"]),
        }

    def predict(self, data: Dataset) -> dict[str, np.ndarray]:
        """Predict the middle of every window: profile logits (n, profile_len), log counts (n,), float32."""
        return self._predicted(self._model, data)

    def predict_without_bias(self, data: Dataset) -> dict[str, np.ndarray]:
        """Predict by the network alone: what accessibility contributes, without the Tn5 sequence bias."""
        return self._predicted(self._on_codes(self.network), data)

    def _predicted(self, model: keras.Model, data: Dataset) -> dict[str, np.ndarray]:
        return predict_windows(model, data, self.spec, self.predict_batch_size or WINDOWS_PER_BATCH)

    def snapshot(self) -> list[np.ndarray]:
        return self._combined.get_weights()

    def restore(self, snapshot: list[np.ndarray]) -> None:
        self._combined.set_weights(snapshot)

    def save(self, folder: Path) -> None:
        """Write `model.npz`, bias model included, and `model.json`, which says how to rebuild that."""
        super().save(folder)
        facts = {"outputs": self.outputs, "bpnet": _dimensions(self.network), "bias": _dimensions(self.bias)}
        (folder / "model.json").write_text(json.dumps(facts))

    def load(self, folder: Path) -> None:
        bias = validated.read_json(folder / "model.json", _Saved, recovery_hint=validated.TRAIN_AGAIN).bias
        if bias:
            self._put_together(bpnet(**dataclasses.asdict(bias), name="bias"))
        super().load(folder)


def predict_windows(model: keras.Model, data: Dataset, spec: TaskSpec, batch_size: int) -> dict[str, np.ndarray]:
    """Predict the middle of every window: profile logits (n, profile_len), log counts (n,), float32."""
    parts: list[tuple[np.ndarray, ...]] = []
    size = min(batch_size, len(data) or 1)
    for start in range(0, len(data), size):
        codes = profiles.central(data.codes, spec.seq_len, slice(start, start + size))
        full = np.concatenate([codes, np.repeat(codes[-1:], size - len(codes), axis=0)])  # one shape, one compilation
        parts.append(tuple(ops.convert_to_numpy(part)[: len(codes)] for part in model.predict_on_batch(full)))
    if not parts:
        return {
            "profile_logits": np.zeros((0, profile_len_of(spec)), np.float32),
            "log_counts": np.zeros(0, np.float32),
        }
    logits, counts = (np.concatenate(values).astype(np.float32) for values in zip(*parts, strict=True))
    return {"profile_logits": logits, "log_counts": counts[:, 0]}
