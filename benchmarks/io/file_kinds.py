"""What a file is by its first bytes, whatever its name says."""

import zlib
from pathlib import Path
from typing import NamedTuple

from benchmarks.errors import BadInput

_N_BYTES = 8192
_STARTS = (
    (b"BAM\x01", "BAM"),
    (b"CRAM", "CRAM"),
    (b"\x26\xfc\x8f\x88", "bigWig"),
    (b"\x88\x8f\xfc\x26", "bigWig"),
    (b"\xeb\xf2\x89\x87", "bigBed"),
    (b"\x87\x89\xf2\xeb", "bigBed"),
    (b"\x43\x27\x41\x1a", "2bit"),
    (b"\x1a\x41\x27\x43", "2bit"),
    (b"\x89HDF\r\n\x1a\n", "HDF5"),
    (b"PAR1", "parquet"),
    (b"PK\x03\x04", "zip"),
    (b"\xd0\xcf\x11\xe0", "xls"),
    (b"\x93NUMPY", "numpy"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"7z\xbc\xaf", "7z"),
    (b"%PDF", "PDF"),
    (b"\xff\xfe", "UTF-16 text"),
    (b"\xfe\xff", "UTF-16 text"),
    (b"version https://git-lfs", "Git LFS pointer"),
)
_SAM_HEADER = (b"@HD\t", b"@SQ\t", b"@RG\t", b"@PG\t", b"@CO\t")
_UNPACK = {"bzip2", "xz", "zstd", "7z", "tar"}
TEXT = ("text", "UTF-16 text", "SAM", "FASTA", "FASTQ")


class FileKind(NamedTuple):
    """What a file is (`BAM`, `SAM`, `bigWig`, `zip`, `text`, `binary`, `empty` …), and whether gzip packs it."""

    name: str
    is_packed: bool = False

    @property
    def is_text(self) -> bool:
        """Whether it has lines that can be read."""
        return self.name in TEXT

    def __str__(self) -> str:
        if self.name == "empty":
            return "an empty file"
        if self.name == "gzip":
            return "a gzip file within a gzip file (unpack it once)"
        if self.name == "HTML":
            return "a web page (HTML), perhaps saved instead of the file; download it again"
        if self.name == "Git LFS pointer":
            return "a Git LFS pointer, which stands for the file (git lfs pull brings it)"
        if self.name == "xls":
            return "an old spreadsheet (.xls; export the sheet as CSV)"
        if self.name == "zip":
            return "a zip file (unpack it) or a spreadsheet (.xlsx; export the sheet as CSV)"
        if self.name == "UTF-16 text":
            return "text in UTF-16 (save it as UTF-8)"
        article = "an" if self.name[0] in "aeixHX" and self.name != "HTML" else "a"
        unpack = " (unpack it)" if self.name in _UNPACK else ""
        return f"{article} {self.name} file{unpack}"


def kind_of(path: Path) -> FileKind:
    """Tell what a file is; of a gzip or bgzip file, what is packed in it.

    Raises
    ------
    BadInput
        If a gzip file is damaged at its beginning.
    """
    with path.open("rb") as file:
        start = file.read(_N_BYTES)
    if start[:2] != b"\x1f\x8b":
        return FileKind(_name_of(start))
    try:
        inside = zlib.decompressobj(31).decompress(start, _N_BYTES)
    except zlib.error as error:
        raise BadInput(f"{path} is a damaged gzip file ({error}); copy it again.") from None
    return FileKind("gzip" if inside[:2] == b"\x1f\x8b" else _name_of(inside), is_packed=True)


def kind_of_bytes(start: bytes) -> FileKind:
    """Tell what a file is by its first bytes, unpacked."""
    return FileKind(_name_of(start))


def _name_of(start: bytes) -> str:
    if not start:
        return "empty"
    for magic, name in _STARTS:
        if start.startswith(magic):
            return name
    if start[257:262] == b"ustar":
        return "tar"
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text[:200].lower().startswith((b"<!doctype html", b"<html", b"<head")):
        return "HTML"
    if b"\0" in start:
        return "binary"
    if text.startswith(_SAM_HEADER):
        return "SAM"
    if text.startswith(b">"):
        return "FASTA"
    lines = text.split(b"\n", 3)
    return "FASTQ" if text.startswith(b"@") and len(lines) > 2 and lines[2].startswith(b"+") else "text"
