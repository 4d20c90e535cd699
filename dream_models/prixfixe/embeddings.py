"""Learnt vectors in the place of one-hot bases: GloVe, and a masked language model (BERT) of the task's own sequences.

Both give a vector per base, for the k-mer around it, and are learnt from the training rows before the first epoch,
on every strand that the network will be shown. They are part of the network and of its weights.
Source: submissions NAD (GloVe), SYSU-SAIL-2022 and Davuluri lab (BERT) in the challenge repository.
"""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

from dream_models.prixfixe.base import Block
from dream_models.prixfixe.recipe import PrixFixeRecipe

N_BASES = 4
Shown = Callable[[torch.Tensor], torch.Tensor]
"""Row numbers -> what the network sees of these training rows, (B, C, L)."""


def kmers(x: torch.Tensor, k: int) -> torch.Tensor:
    """Number the k-mer around every base: (B, C, L) one-hot -> (B, L), 4 ** k where not all of its bases are known.

    An even k-mer reaches one base further to the left.

    >>> kmers(torch.eye(4)[None], 1)  # the four bases, in the order of their channels
    tensor([[0, 1, 2, 3]])
    """
    bases, around = x[:, :N_BASES], (k // 2, (k - 1) // 2)
    digits = F.pad(bases.argmax(dim=1), around).unfold(1, k, 1)  # (B, L, k)
    known = F.pad(bases.sum(dim=1) > 0, around).unfold(1, k, 1).all(dim=2)
    places = N_BASES ** torch.arange(k, device=x.device)
    return torch.where(known, (digits * places).sum(dim=2), N_BASES**k)


def mutated(bases: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
    """Put one of the three other bases, by chance, at the given places (B, L) of one-hot (B, 4, L)."""
    shift = torch.randint(1, N_BASES, where.shape, device=bases.device)
    others = F.one_hot((bases.argmax(dim=1) + shift) % N_BASES, N_BASES).transpose(1, 2).to(bases.dtype)
    return torch.where(where[:, None], others, bases)


class Embedding(Block):
    """A block before the first: (B, 4 + n_side, L) -> (B, width + n_side, L); side channels pass as they are."""

    is_learned: torch.Tensor

    def __init__(self, n_channels: int, width: int, seqsize: int):
        super().__init__(n_channels, width + n_channels - N_BASES, seqsize)
        self.register_buffer("is_learned", torch.tensor(False))

    def vectors(self, x: torch.Tensor) -> torch.Tensor:
        """Return the vectors of the bases, (B, width, L)."""
        raise NotImplementedError(f"{type(self).__name__} must define vectors")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.vectors(x), x[:, N_BASES:]], dim=1)

    def learn(self, shown: Shown, n_rows: int, check_stop: Callable[[], None]) -> None:
        """Learn the vectors from training rows; `check_stop`, called now and then, raises if the process must end."""
        self._learn(shown, n_rows, check_stop)
        self.is_learned.fill_(True)

    def _learn(self, shown: Shown, n_rows: int, check_stop: Callable[[], None]) -> None:
        raise NotImplementedError(f"{type(self).__name__} must define _learn")


class GloVe(Embedding):
    """Vectors of k-mers whose products tell how often one precedes the other within ten bases; fixed once learnt.

    Source: Pennington et al. 2014 (doi 10.3115/v1/D14-1162) with NAD's settings (`dream_submissions/NAD/code/glove/
    demo.sh`): contexts to the left, each counted by one over its distance, weights (count / 10) ** 0.75 up to 1, the
    sum of a k-mer's vectors as word and as context. Differs: all counts in every step of Adam instead of one count in
    every step of AdaGrad, and k-mers of all bases shown, where NAD takes those around the 80 variable ones.
    """

    WINDOW, X_MAX, ALPHA = 10, 10.0, 0.75
    N_STEPS, RATE, BLOCK = 300, 0.02, 4096
    table: torch.Tensor

    def __init__(self, n_channels: int, width: int, seqsize: int, kmer: int):
        super().__init__(n_channels, width, seqsize)
        self.kmer = kmer
        self.register_buffer("table", torch.zeros(N_BASES**kmer + 1, width))  # the last: not all bases known

    def vectors(self, x: torch.Tensor) -> torch.Tensor:
        return F.embedding(kmers(x, self.kmer), self.table).transpose(1, 2)

    def counts(self, shown: Shown, n_rows: int, check_stop: Callable[[], None]) -> torch.Tensor:
        """Count how often k-mers are preceded by others, by one over their distance; (4 ** k, 4 ** k)."""
        n = N_BASES**self.kmer
        counts = torch.zeros(n * n, dtype=torch.float64, device=self.table.device)
        for rows in torch.arange(n_rows, device=self.table.device).split(self.BLOCK):
            check_stop()
            words = kmers(shown(rows), self.kmer)
            for distance in range(1, min(self.WINDOW + 1, words.shape[1])):
                word, context = words[:, distance:], words[:, :-distance]
                pairs = (word * n + context)[(word < n) & (context < n)]
                counts += torch.bincount(pairs, minlength=n * n) / distance
        return counts.view(n, n).float()

    def _learn(self, shown: Shown, n_rows: int, check_stop: Callable[[], None]) -> None:
        counts = self.counts(shown, n_rows, check_stop)
        weights = (counts / self.X_MAX).clamp(max=1) ** self.ALPHA
        logs = counts.clamp(min=1e-9).log()
        n, width = len(counts), self.table.shape[1]
        draws = (torch.rand(n, width, device=counts.device) - 0.5 for _ in range(2))
        word, context = (nn.Parameter(drawn / width) for drawn in draws)
        word_bias, context_bias = (nn.Parameter(torch.zeros(n, device=counts.device)) for _ in range(2))
        adam = torch.optim.Adam([word, context, word_bias, context_bias], lr=self.RATE)
        for _ in range(self.N_STEPS):
            check_stop()
            adam.zero_grad()
            error = word @ context.T + word_bias[:, None] + context_bias - logs
            ((weights * error.square()).sum() / weights.sum().clamp(min=1)).backward()
            adam.step()
        self.table[:-1] = (word + context).detach()


class LanguageModel(Embedding):
    """A BERT of k-mers that was trained to tell hidden bases; its last layer gives the vectors.

    Of the 15 % of bases that it must tell, eight in ten are hidden, one is mutated and one stays. A hidden base hides
    all k-mers that hold it. Source: SYSU-SAIL-2022 (`pretrain_expr.py` and `run_pretrain.sh` of the submission): 3
    layers of 512, 8 heads, 3-mers, rate 0.0001. Differs: a token for every base instead of one for three, so that
    there is a vector per base; bases and not k-mers are told; all training rows, where that team takes the 20 % of
    highest expression; no dropout. With `tuned`, training goes on changing it (both teams); without, it stays.
    """

    HIDDEN_SHARE, N_HEADS = 0.15, 8

    def __init__(self, n_channels: int, width: int, seqsize: int, recipe: PrixFixeRecipe):
        super().__init__(n_channels, width, seqsize)
        self.kmer, self.tuned = recipe.lm_kmer, recipe.lm_tuned
        self.n_epochs, self.rate, self.batch_size = recipe.lm_epochs, recipe.lm_rate, recipe.batch_size
        self.tokens = nn.Embedding(N_BASES**self.kmer + 1, width)
        self.positions = nn.Embedding(seqsize, width)
        layer = nn.TransformerEncoderLayer(width, self.N_HEADS, 4 * width, 0.0, activation="gelu", batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, recipe.lm_layers, enable_nested_tensor=False)
        self.bases = nn.Linear(width, N_BASES)
        self._let_learn(pretraining=False)

    def _let_learn(self, *, pretraining: bool) -> None:
        self.requires_grad_(pretraining or self.tuned)
        self.bases.requires_grad_(pretraining)

    def vectors(self, x: torch.Tensor) -> torch.Tensor:
        embedded = self.tokens(kmers(x, self.kmer)) + self.positions.weight
        return self.encoder(embedded).transpose(1, 2)

    def hidden(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Hide and mutate bases of (B, C, L); return the input, and which bases are to be told, (B, L)."""
        bases = x[:, :N_BASES]
        asked, fate = torch.rand(2, *bases[:, 0].shape, device=x.device)
        told = (asked < self.HIDDEN_SHARE) & (bases.sum(dim=1) > 0)
        changed = mutated(bases, told & (fate > 0.9)) * ~(told & (fate < 0.8))[:, None]
        return torch.cat([changed, x[:, N_BASES:]], dim=1), told

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """Tell the base at every position, (B, 4, L)."""
        return self.bases(self.vectors(x).transpose(1, 2)).transpose(1, 2)

    def _learn(self, shown: Shown, n_rows: int, check_stop: Callable[[], None]) -> None:
        self._let_learn(pretraining=True)
        adamw = torch.optim.AdamW(self.parameters(), lr=self.rate, weight_decay=0.0)
        device = self.positions.weight.device
        for _ in range(self.n_epochs):
            for rows in torch.randperm(n_rows, device=device).split(self.batch_size):
                check_stop()
                adamw.zero_grad()
                x = shown(rows)
                changed, told = self.hidden(x)
                losses = F.cross_entropy(self.logits(changed), x[:, :N_BASES].argmax(dim=1), reduction="none")
                ((losses * told).sum() / told.sum().clamp(min=1)).backward()
                adamw.step()
        self._let_learn(pretraining=False)


def embedding(n_channels: int, seqsize: int, recipe: PrixFixeRecipe) -> Embedding | None:
    """Return what takes the place of one-hot bases by the recipe; None where nothing does."""
    if recipe.glove_width:
        return GloVe(n_channels, recipe.width(recipe.glove_width), seqsize, recipe.glove_kmer)
    if recipe.lm_layers:
        return LanguageModel(n_channels, recipe.width(recipe.lm_width), seqsize, recipe)
    return None
