"""A reference genome: chromosome names, lengths and codes, from FASTA, plain, gzip or bgzip."""

import contextlib
import gzip
import hashlib
import os
import shutil
import sys
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.api.sequences import encode_chromosome
from benchmarks.errors import BadInput
from benchmarks.io.atomic import whole_file
from benchmarks.io.file_kinds import kind_of


class Genome:
    """An indexed FASTA file.

    Parameters
    ----------
    path
        FASTA, plain or bgzip; a plain gzip file, which has no index, is unpacked into `work`.
    work
        Folder for the index (and the unpacked file), so that the FASTA's own folder need not be writable.

    Raises
    ------
    BadInput
        If the file is missing, damaged or not FASTA, or pysam is not installed.
    """

    def __init__(self, path: Path, work: Path):
        pysam = needed("pysam")
        if not path.is_file():
            raise BadInput(f"--genome: no FASTA file at {path}.")
        check_end(path, "--genome")
        kind = kind_of(path)
        if kind.name not in ("FASTA", "text", "binary", "empty"):
            hint = " (twoBitToFa makes FASTA of it)" if kind.name == "2bit" else ""
            raise BadInput(f"--genome: {path} is {kind}; a FASTA file, plain, gzip or bgzip, is expected{hint}.")
        self.path = path
        self._work = work
        readable = self._readable = _unpacked(path, work) if _is_plain_gzip(path) else path
        index, blocks = work / "genome.fai", work / "genome.gzi"  # the second is written of a bgzip file alone
        blocks.unlink(missing_ok=True)
        try:
            with library_messages() as complaints:
                pysam.faidx(str(readable), "--fai-idx", str(index), "--gzi-idx", str(blocks))
            self._fasta = pysam.FastaFile(
                str(readable),
                filepath_index=str(index),
                filepath_index_compressed=str(blocks) if blocks.exists() else None,
            )
        except (pysam.SamtoolsError, OSError, ValueError) as error:
            reason = complaints[0] if complaints else " ".join(str(error).split())[:200]
            raise BadInput(
                f"--genome: {path} is not a FASTA file that can be indexed ({reason}); every sequence needs a line "
                "that begins with '>', then lines of one length, none of them empty."
            ) from None
        if complaints:  # of a name that appears twice, which faidx passes over
            raise BadInput(f"--genome: {path}: {complaints[0]}; every sequence needs a name of its own.")
        self.sizes: dict[str, int] = dict(zip(self._fasta.references, self._fasta.lengths, strict=True))
        if not self.sizes:
            raise BadInput(f"--genome: {path} has no sequence.")

    def with_index_beside(self) -> Path:
        """Return a path of this FASTA file that has its index beside it, as htslib reads CRAM files with."""
        link = self._work / ("reference.fa.gz" if (self._work / "genome.gzi").exists() else "reference.fa")
        for suffix, target in (("", self._readable), (".fai", self._work / "genome.fai")):
            place = link.with_name(link.name + suffix)
            place.unlink(missing_ok=True)
            place.symlink_to(target.resolve())
        if link.suffix == ".gz":
            blocks = link.with_name(f"{link.name}.gzi")
            blocks.unlink(missing_ok=True)
            blocks.symlink_to((self._work / "genome.gzi").resolve())
        return link

    def nearest(self, name: str) -> str:
        """Return the hint of the chromosome whose name is most like another; empty if none is."""
        by_lower = {known.lower(): known for known in self.sizes}
        spelt = [name.lower(), name.lower().removeprefix("chr"), f"chr{name.lower()}"]
        near = [by_lower[one] for one in spelt if one in by_lower]
        near = near or get_close_matches(name, list(self.sizes), n=1, cutoff=0.6)
        return f" Did you mean {near[0]!r}?" if near else ""

    @lru_cache(maxsize=1)  # noqa: B019 - one genome lives as long as the program
    def codes(self, chrom: str) -> np.ndarray:
        """Return a chromosome as codes, (length,) uint8."""
        codes = encode_chromosome(self._fasta.fetch(chrom))
        if len(codes) != self.sizes[chrom]:  # reading ends at a NUL, and the index does not
            raise BadInput(
                f"--genome: {self.path} is damaged: {self.sizes[chrom]:,} bases of {chrom} are announced by its lines, "
                f"{len(codes):,} can be read."
            )
        return codes

    def known(self, names: Iterable[str], what: str) -> list[str]:
        """Return the names that the genome has, in its order.

        Raises
        ------
        BadInput
            If it has none of them.
        """
        names = set(names)
        known = [name for name in self.sizes if name in names]
        if not known and names:
            theirs, ours = sorted(names)[0], next(iter(self.sizes))
            raise BadInput(
                f"{what} and {self.path} name no chromosome alike: {theirs!r} there, {ours!r} in the genome. "
                "Take files of one naming (chr1 or 1)."
            )
        return known


def needed(name: str) -> Any:
    """Import one of the packages that read genomes and tracks, or say how to install them."""
    try:
        return __import__(name)
    except ModuleNotFoundError:
        raise BadInput(f"Reading genomes and what lies on them needs {name!r}: `pip install -e '.[atac]'`.") from None


def check_end(path: Path, what: str) -> None:
    """Refuse a bgzip file (BAM too) without the empty block at its end: cut between blocks, it reads like a whole one.

    Source: SAM specification, 4.1.2, "End-of-file marker".

    Raises
    ------
    BadInput
        If the block is not there.
    """
    with path.open("rb") as file:
        if not _is_bgzip(file.read(16)):
            return
        file.seek(0, os.SEEK_END)
        file.seek(-min(len(_BGZIP_END), file.tell()), os.SEEK_END)
        end = file.read()
    if end != _BGZIP_END:
        raise BadInput(f"{what}: {path} is a truncated bgzip file (its end marker is missing); copy it again.")


_BGZIP_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")


def _is_bgzip(start: bytes) -> bool:
    return start[:2] == b"\x1f\x8b" and start[12:14] == b"BC"  # bgzip says so in an extra field


def _is_plain_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(16)
    return start[:2] == b"\x1f\x8b" and not _is_bgzip(start)


@contextlib.contextmanager
def library_messages() -> Iterator[list[str]]:
    """Keep what a library in C or Rust writes to the terminal; give htslib's errors and warnings, when it is over."""
    messages: list[str] = []
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield messages
        finally:
            sys.stderr.flush()
            os.dup2(terminal, 2)
            os.close(terminal)
            file.seek(0)
            lines = file.read().decode(errors="replace").splitlines()
            messages += [line.partition("] ")[2] for line in lines if line.startswith(("[E::", "[W::"))]


@contextlib.contextmanager
def quiet_pysam() -> Iterator[Any]:
    """Give pysam without what it would write to the terminal about a file that it then refuses."""
    pysam = needed("pysam")
    verbosity, hook = pysam.set_verbosity(0), sys.unraisablehook
    sys.unraisablehook = lambda _: None  # a file that could not be opened cannot be closed either, which pysam reports
    try:
        yield pysam
    finally:
        pysam.set_verbosity(verbosity)
        sys.unraisablehook = hook


def _unpacked(path: Path, work: Path) -> Path:
    """Unpack a gzip file once, under a name of its own; it appears when it is complete."""
    stat = path.stat()
    stamp = hashlib.sha256(f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns}".encode()).hexdigest()[:12]
    target = work / f"genome-{stamp}.fa"
    if target.exists():
        return target
    try:
        with gzip.open(path) as source, whole_file(target) as unfinished, unfinished.open("wb") as file:
            shutil.copyfileobj(source, file, 2**22)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise BadInput(f"--genome: {path} is a damaged gzip file ({error}); copy it again.") from None
    return target
