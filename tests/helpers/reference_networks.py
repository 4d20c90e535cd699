"""Plain numpy forward passes of the DREAM networks and of MPRAnn, in evaluation mode.

A second, slow and direct route to the same numbers: no automatic differentiation, no layer classes, only
array operations in float64. Dropout is absent and batch normalisation uses its running statistics.
Section numbers refer to the fact sheets: "dream" for the DREAM networks, "baselines" for MPRAnn.

Shapes: B batch, C channels, L positions, k kernel taps. Convolution weights of the DREAM networks are
(out, in / groups, k) and dense weights (out, in); those of MPRAnn are (k, in, out) and (in, out).
"""

import csv

import numpy as np
from scipy.special import expit, log_softmax, ndtr, softmax, xlogy

N_BINS = 18
N_HEADS = 4
BATCH_NORM_EPS = 1e-5
LAYER_NORM_EPS = 1e-6
MPRANN_BATCH_NORM_EPS = 1e-3


# ---------------------------------------------------------------------------------------------------------
# Layers


def relu(x):
    """Elementwise max(x, 0)."""
    return np.maximum(x, 0.0)


def silu(x):
    """Elementwise x * sigmoid(x)."""
    return x * expit(x)


def linear(x, weight, bias=0.0):
    """Dense layer on the last axis: (..., in) with weight (out, in) -> (..., out)."""
    return x @ weight.T + bias


def conv1d(x, weight, bias=None):
    """Cross-correlation, stride 1, zero padding 'same', odd k: (B, C, L) -> (B, out, L). (dream 1.1)

    Weight is (out, C / groups, k); the number of groups follows from the shapes. Output channels of group g
    are the g-th consecutive block and read the g-th consecutive block of input channels.
    """
    batch, channels, length = x.shape
    n_out, per_group, taps = weight.shape
    groups = channels // per_group
    padded = np.pad(x, ((0, 0), (0, 0), (taps // 2, taps // 2)))
    padded = padded.reshape(batch, groups, per_group, -1)
    kernel = weight.reshape(groups, n_out // groups, per_group, taps)
    out = np.zeros((batch, groups, n_out // groups, length))
    for t in range(taps):
        out += np.matmul(kernel[..., t].copy(), padded[..., t : t + length])
    out = out.reshape(batch, n_out, length)
    return out if bias is None else out + bias[:, None]


def batch_norm(x, weights, name):
    """Batch normalisation of (B, C, L) with running statistics, eps 1e-5. (dream 1.2, 1.3)"""
    mean, var = weights[f"{name}.running_mean"], weights[f"{name}.running_var"]
    scaled = (x - mean[:, None]) / np.sqrt(var[:, None] + BATCH_NORM_EPS)
    return scaled * weights[f"{name}.weight"][:, None] + weights[f"{name}.bias"][:, None]


def layer_norm(x, weights, name):
    """Layer normalisation over the last axis (channels), population variance, eps 1e-6. (dream 1.3)"""
    centred = x - x.mean(axis=-1, keepdims=True)
    var = (centred**2).mean(axis=-1, keepdims=True)
    return centred / np.sqrt(var + LAYER_NORM_EPS) * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def conv_norm_silu(x, weights, conv_name, norm_name):
    """Convolution without bias -> batch normalisation -> SiLU: (B, C, L) -> (B, out, L)."""
    return silu(batch_norm(conv1d(x, weights[f"{conv_name}.weight"]), weights, norm_name))


def two_branch_conv(x, weights, name):
    """Two parallel convolutions (k = 9, then 15), ReLU, joined on channels: (B, C, L) -> (B, 2 * out, L).

    Used by the BHI first block and inside the BHI core. (dream 1.2, 1.3)
    """
    branches = [f"{name}.conv_list.{i}.conv" for i in (0, 1)]
    outputs = [relu(conv1d(x, weights[f"{b}.weight"], weights[f"{b}.bias"])) for b in branches]
    return np.concatenate(outputs, axis=1)


# ---------------------------------------------------------------------------------------------------------
# First blocks (dream 1.2)


def kmer_patches(x, taps):
    """Every position with its neighbours, position by position: (B, C, L) -> (B, L, taps * C). (dream 2.4)

    A patch begins taps / 2 - 1 positions left of its own and is zero beyond the ends, so only an even number of taps
    keeps the length. Within a patch all channels of its first position come first.
    """
    padded = np.pad(x, ((0, 0), (0, 0), (taps // 2 - 1, taps // 2)))
    rows = [padded[:, :, start : start + taps].transpose(0, 2, 1) for start in range(x.shape[2])]
    return np.stack([patch.reshape(len(x), -1) for patch in rows], axis=1)


def unlockdna_first(weights, x):
    """K-mer patches -> dense, plus a vector for each half of the input: (B, C, L) -> (B, width, L). (dream 2.4)"""
    weight = weights["first.kmer_dense.weight"]
    patches = kmer_patches(x, weight.shape[1] // x.shape[1])
    h = linear(patches, weight, weights["first.kmer_dense.bias"])
    in_second_half = (np.arange(x.shape[2]) >= x.shape[2] // 2).astype(int)
    return (h + weights["first.strand_embedding.weight"][in_second_half]).transpose(0, 2, 1)


def one_hot_codes(codes, n_channels):
    """Integer codes (B, L) -> (B, n_channels, L)."""
    return (codes[:, None, :] == np.arange(n_channels)[None, :, None]).astype(np.float64)


def first_block(weights, x):
    """Input (B, C, L) -> (B, first width, L): the team's block whose keys are there."""
    if "first.block.0.weight" in weights:
        return conv_norm_silu(x, weights, "first.block.0", "first.block.1")
    if "first.kmer_dense.weight" in weights:
        return unlockdna_first(weights, x)
    return two_branch_conv(x, weights, "first")


# ---------------------------------------------------------------------------------------------------------
# Autosome core, DREAM-CNN (dream 1.3)


def squeeze_excite(x, weights, name):
    """Channel gates from the mean over positions: (B, e, L) -> (B, e, L). (dream 1.3, inv 6)"""
    squeezed = x.mean(axis=-1)
    hidden = silu(linear(squeezed, weights[f"{name}.fc.0.weight"], weights[f"{name}.fc.0.bias"]))
    gates = expit(linear(hidden, weights[f"{name}.fc.2.weight"], weights[f"{name}.fc.2.bias"]))
    return x * gates[:, :, None]


def autosome_stage(x, weights, stage):
    """One inverted-residual and resize stage: (B, p, L) -> (B, s, L). The input is joined on, not added."""
    inv = f"core.seqextractor.inv_res_blc{stage}"
    resize = f"core.seqextractor.resize_blc{stage}"
    h = conv_norm_silu(x, weights, f"{inv}.0", f"{inv}.1")
    h = conv_norm_silu(h, weights, f"{inv}.3", f"{inv}.4")
    h = squeeze_excite(h, weights, f"{inv}.6")
    h = conv_norm_silu(h, weights, f"{inv}.7", f"{inv}.8")
    return conv_norm_silu(np.concatenate([x, h], axis=1), weights, f"{resize}.0", f"{resize}.1")


def autosome_core(weights, x):
    """Six stages: (B, 320, L) -> (B, 64, L)."""
    for stage in range(6):
        x = autosome_stage(x, weights, stage)
    return x


# ---------------------------------------------------------------------------------------------------------
# BHI core, DREAM-RNN (dream 1.3; gate order in dream 8)


def lstm(x, weights, suffix):
    """One LSTM direction from a zero state, first position to last: (B, L, C) -> (B, L, H).

    Rows of the weights hold the gates in the order input, forget, cell, output; there are two biases.
    """
    w_ih, w_hh = weights[f"core.lstm.weight_ih_{suffix}"], weights[f"core.lstm.weight_hh_{suffix}"]
    bias = weights[f"core.lstm.bias_ih_{suffix}"] + weights[f"core.lstm.bias_hh_{suffix}"]
    batch, length, _ = x.shape
    width = w_hh.shape[1]
    hidden, cell = np.zeros((batch, width)), np.zeros((batch, width))
    outputs = np.zeros((batch, length, width))
    for position in range(length):
        gates = x[:, position] @ w_ih.T + hidden @ w_hh.T + bias
        i, f, g, o = np.split(gates, 4, axis=1)
        cell = expit(f) * cell + expit(i) * np.tanh(g)
        hidden = expit(o) * np.tanh(cell)
        outputs[:, position] = hidden
    return outputs


def bhi_core(weights, x):
    """Bidirectional LSTM, forward half first, then the two-branch convolution: (B, 320, L) -> (B, 320, L)."""
    x = x.transpose(0, 2, 1)
    forward = lstm(x, weights, "l0")
    backward = lstm(x[:, ::-1], weights, "l0_reverse")[:, ::-1]
    both = np.concatenate([forward, backward], axis=2)
    return two_branch_conv(both.transpose(0, 2, 1), weights, "core")


# ---------------------------------------------------------------------------------------------------------
# UnlockDNA core, DREAM-Attn (dream 1.3). Positions before channels here: (B, L, C).


def feed_forward(x, weights, name):
    """LayerNorm -> dense 4C -> value * SiLU(gate), value half first -> dense C: (B, L, C) -> (B, L, C)."""
    h = linear(layer_norm(x, weights, f"{name}.layernorm"), weights[f"{name}.linear1.weight"])
    value, gate = np.split(h, 2, axis=-1)
    return linear(value * silu(gate), weights[f"{name}.linear2.weight"])


def separable_conv(x, weights, name):
    """Depthwise k = 15 without bias -> pointwise with bias -> ReLU: (B, L, C) -> (B, L, C)."""
    h = conv1d(x.transpose(0, 2, 1), weights[f"{name}.0.weight"])
    h = relu(conv1d(h, weights[f"{name}.1.weight"], weights[f"{name}.1.bias"]))
    return h.transpose(0, 2, 1)


def self_attention(x, weights, name):
    """Multi-head attention of x with itself, no mask: (B, L, C) -> (B, L, C).

    Always four heads; head h owns the h-th consecutive block of C / 4 channels of query, key and value.
    """
    batch, length, channels = x.shape
    width = channels // N_HEADS
    projected = linear(x, weights[f"{name}.in_proj_weight"], weights[f"{name}.in_proj_bias"])
    q, k, v = (part.reshape(batch, length, N_HEADS, width) for part in np.split(projected, 3, axis=-1))
    scores = np.einsum("bqhd,bkhd->bhqk", q, k) / np.sqrt(width)
    mixed = np.einsum("bhqk,bkhd->bqhd", softmax(scores, axis=-1), v).reshape(batch, length, channels)
    return linear(mixed, weights[f"{name}.out_proj.weight"], weights[f"{name}.out_proj.bias"])


def attention_block(x, weights, name):
    """Steps a to e of one block: (B, L, C) -> (B, L, C)."""
    x = x + 0.5 * feed_forward(x, weights, f"{name}.ff1")
    u = layer_norm(x, weights, f"{name}.layernorm1")
    x = x + u + separable_conv(u, weights, f"{name}.conv")
    x = layer_norm(x, weights, f"{name}.layernorm2")
    x = x + self_attention(x, weights, f"{name}.attn")
    return x + 0.5 * feed_forward(x, weights, f"{name}.ff2")


def unlockdna_core(weights, x):
    """Position embedding and four blocks: (B, 256, L) -> (B, 256, L), L being that of the embedding."""
    x = x.transpose(0, 2, 1) + weights["core.pos_embedding.weight"]
    for block in range(4):
        x = attention_block(x, weights, f"core.blocks.{block}")
    return x.transpose(0, 2, 1)


# ---------------------------------------------------------------------------------------------------------
# Heads and whole networks (dream 1.1, 1.4)


def in_float64(weights):
    """State dict with every array as float64, so that single-precision checkpoints lose nothing."""
    return {key: np.asarray(value, dtype=np.float64) for key, value in weights.items()}


def dream_features(weights, x):
    """First and core block, chosen by key names: (B, C, L) -> (B, c, L), c = 64, 320 or 256."""
    x = first_block(weights, np.asarray(x, dtype=np.float64))
    if "core.pos_embedding.weight" in weights:
        return unlockdna_core(weights, x)
    if "core.lstm.weight_ih_l0" in weights:
        return bhi_core(weights, x)
    return autosome_core(weights, x)


def bin_logits(weights, features):
    """Yeast head before the softmax: mean over positions after the convolution, (B, c, L) -> (B, 18)."""
    mapped = conv1d(features, weights["final.mapper.0.weight"], weights["final.mapper.0.bias"])
    return mapped.mean(axis=-1)


def regression_head(weights, features, number=""):
    """Human head, or head number "1" or "2" of Drosophila: (B, c, L) -> (B, 1)."""
    mapper, dense = f"final.mapper{number}", f"final.linear{number}.0"
    pooled = conv1d(features, weights[f"{mapper}.weight"], weights[f"{mapper}.bias"]).mean(axis=-1)
    return linear(pooled, weights[f"{dense}.weight"], weights[f"{dense}.bias"])


def dream_logits(weights, x):
    """Bin logits of a yeast network: (B, 6, L) -> (B, 18)."""
    weights = in_float64(weights)
    return bin_logits(weights, dream_features(weights, x))


def dream_forward(weights, x):
    """Output of a DREAM network from its published state dict; model and variant follow from the keys.

    x is (B, C, L) with C = 6 (yeast) or 5. Yeast gives the expected bin (B,), human (B, 1), Drosophila a
    tuple of two (B, 1): developmental, housekeeping.
    """
    weights = in_float64(weights)
    features = dream_features(weights, x)
    if "final.bins" in weights:
        return softmax(bin_logits(weights, features), axis=1) @ weights["final.bins"]
    if "final.mapper1.weight" in weights:
        return regression_head(weights, features, "1"), regression_head(weights, features, "2")
    return regression_head(weights, features)


def bhi_final(weights, features):
    """Flatten channels first, two dense layers with ReLU, one without: (B, c, L) -> (B,). (dream 2.4)"""
    h = features.reshape(len(features), -1)
    for layer in (0, 2):
        h = relu(linear(h, weights[f"final.main.{layer}.weight"], weights[f"final.main.{layer}.bias"]))
    return linear(h, weights["final.main.4.weight"], weights["final.main.4.bias"])[:, 0]


def unlockdna_final(weights, features, n_projectors):
    """Mean over the first positions of a dense layer to one -> (B,), and base logits -> (B, 5, L). (dream 2.4)"""
    h = features.transpose(0, 2, 1)
    weight, bias = weights["final.expression_dense.weight"], weights["final.expression_dense.bias"]
    expression = linear(h[:, :n_projectors], weight, bias)[:, :, 0].mean(axis=1)
    bases = linear(h, weights["final.nucleotide_dense.weight"], weights["final.nucleotide_dense.bias"])
    return expression, bases.transpose(0, 2, 1)


def prix_fixe_forward(weights, x, n_projectors=8):
    """Output of any combination of the three teams' blocks; what they are follows from the key names.

    x is (B, C, L), or integer codes (B, L) of six letters.
    """
    weights = in_float64(weights)
    features = dream_features(weights, one_hot_codes(x, 6) if np.ndim(x) == 2 else x)
    if "final.expression_dense.weight" in weights:
        return unlockdna_final(weights, features, n_projectors)
    if "final.main.0.weight" in weights:
        return bhi_final(weights, features)
    if "final.bins" in weights:
        return softmax(bin_logits(weights, features), axis=1) @ weights["final.bins"]
    return regression_head(weights, features)


# ---------------------------------------------------------------------------------------------------------
# MPRAnn (baselines 2.1)


def valid_conv(x, kernel, bias):
    """Cross-correlation without padding: (B, L, in) with kernel (k, in, out) -> (B, L - k + 1, out)."""
    taps = kernel.shape[0]
    length = x.shape[1] - taps + 1
    return sum(x[:, t : t + length] @ kernel[t] for t in range(taps)) + bias


def mprann_conv(x, weights, activation):
    """Convolution -> activation -> batch normalisation (eps 1e-3): (B, L, in) -> (B, L - k + 1, out)."""
    kernel, bias, gamma, beta, mean, var = weights
    x = activation(valid_conv(x, kernel, bias))
    return (x - mean) / np.sqrt(var + MPRANN_BATCH_NORM_EPS) * gamma + beta


def channel_softmax(x):
    """Softmax over the last axis."""
    return softmax(x, axis=-1)


def max_pool_pairs(x):
    """Maximum over adjacent pairs of positions, an odd last one dropped: (B, L, C) -> (B, L // 2, C)."""
    batch, length, channels = x.shape
    return x[:, : length // 2 * 2].reshape(batch, length // 2, 2, channels).max(axis=2)


def mprann_forward(weights, x):
    """MPRAnn, one-hot (B, L, 4) in A, C, G, T order -> (B, n_out).

    Weights are a list of 30 arrays in layer order: four times (kernel, bias, gamma, beta, moving mean, moving
    variance), then three times (dense kernel, bias). The second pool has size 1 and is left out.
    """
    weights = [np.asarray(array, dtype=np.float64) for array in weights]
    x = np.asarray(x, dtype=np.float64)
    x = mprann_conv(x, weights[0:6], relu)
    x = max_pool_pairs(mprann_conv(x, weights[6:12], channel_softmax))
    x = mprann_conv(x, weights[12:18], channel_softmax)
    x = mprann_conv(x, weights[18:24], channel_softmax)
    x = x.reshape(len(x), -1)
    x = expit(x @ weights[24] + weights[25])
    x = expit(x @ weights[26] + weights[27])
    return x @ weights[28] + weights[29]


# ---------------------------------------------------------------------------------------------------------
# Losses and targets (dream 1.4, 3.2)


def kl_batchmean(logits, target_probs):
    """KL(target || softmax(logits)) summed over bins, divided by B: (B, 18), (B, 18) -> scalar."""
    divergence = xlogy(target_probs, target_probs) - target_probs * log_softmax(logits, axis=1)
    return divergence.sum() / len(logits)


def mse(prediction, target):
    """Mean squared error of two arrays of the same shape."""
    if np.shape(prediction) != np.shape(target):
        raise ValueError(f"shapes differ: {np.shape(prediction)} and {np.shape(target)}")
    return np.mean((np.asarray(prediction, dtype=np.float64) - target) ** 2)


def huber(prediction, target):
    """Mean of d^2 / 2 where |d| <= 1, and of |d| - 1/2 elsewhere. (dream 2.4: delta 1)"""
    d = np.abs(np.asarray(prediction, dtype=np.float64) - target)
    return np.mean(np.where(d <= 1, d**2 / 2, d - 0.5))


def masked_cross_entropy(logits, codes, masked):
    """Cross-entropy summed over masked positions / (their number + 1): (B, K, L), (B, L), (B, L). (dream 2.3)"""
    log_probs = log_softmax(np.asarray(logits, dtype=np.float64), axis=1)
    rows, positions = np.nonzero(masked)
    return -log_probs[rows, codes[rows, positions], positions].sum() / (len(rows) + 1)


def soft_bins(expression):
    """Bin probabilities of measured values, (n,) -> (n, 18), float64. (dream 3.2)

    Mass of Normal(e + 0.5, sd 0.5) in (-inf, 1), [1, 2), ..., [16, 17), [17, inf).
    """
    centre = np.asarray(expression, dtype=np.float64)[:, None] + 0.5
    below = ndtr((np.arange(1, N_BINS) - centre) / 0.5)
    return np.diff(below, axis=1, prepend=0.0, append=1.0)


# ---------------------------------------------------------------------------------------------------------
# Random weights


def read_shapes(csv_path, model, variant):
    """State-dict keys and shapes of one network: dict key -> tuple, in file order. (dream 8)

    The file has columns model, variant, key, shape, with dimensions joined by "x" and "scalar" for none.
    """
    with open(csv_path, newline="") as handle:
        rows = [r for r in csv.DictReader(handle) if (r["model"], r["variant"]) == (model, variant)]
    if not rows:
        raise ValueError(f"no keys for {model}, {variant} in {csv_path}")
    dims = {r["key"]: [] if r["shape"] == "scalar" else r["shape"].split("x") for r in rows}
    return {key: tuple(int(d) for d in parts) for key, parts in dims.items()}


def shrink_shape(key, shape, shrink):
    """Divide the layer widths in a shape; kernel taps, sequence length, bins and sizes below 16 stay."""
    fixed_axis = 0 if key == "core.pos_embedding.weight" else 2
    widths = [axis != fixed_axis and size >= 16 and size != N_BINS for axis, size in enumerate(shape)]
    return tuple(size // shrink if width else size for size, width in zip(shape, widths, strict=True))


def random_array(key, shape, rng):
    """Random values for one state-dict entry, scaled so that activations keep their size."""
    if key.endswith("num_batches_tracked"):
        return np.zeros(shape, dtype=np.int64)
    if key == "final.bins":
        return np.arange(N_BINS, dtype=np.int64)
    if key.endswith("running_var"):
        return rng.uniform(0.3, 1.2, shape)
    if key == "core.pos_embedding.weight":
        return rng.standard_normal(shape)
    if len(shape) > 1:
        return rng.normal(0.0, np.sqrt(2.0 / np.prod(shape[1:])), shape)
    offset = 1.0 if key.endswith("weight") else 0.0
    return offset + rng.normal(0.0, 0.2, shape)


def random_weights(model, variant, seed, csv_path, shrink=1):
    """Random float64 state dict of one network, e.g. "DREAM-CNN", "yeast".

    Shapes are read from csv_path (see `read_shapes`). With shrink 2 or 4 every layer width is divided by it,
    which gives a network of the same structure that runs faster.
    """
    rng = np.random.default_rng(seed)
    shapes = read_shapes(csv_path, model, variant)
    return {key: random_array(key, shrink_shape(key, shape, shrink), rng) for key, shape in shapes.items()}
