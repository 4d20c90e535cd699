"""Unpacking archives from elsewhere: nothing outside the folder, no links out, no devices."""

import tarfile
import zipfile
from pathlib import Path

from benchmarks.errors import BadInput
from benchmarks.io.validated import one_line


def unpack(archive: Path, folder: Path, *, named: str | None = None) -> None:
    """Unpack a tar (plain or compressed) or zip file into a folder, which is to be thrown away if this fails.

    Parameters
    ----------
    named
        Name of the archive in the error; None: its path.

    Raises
    ------
    BadInput
        If it is not an archive, is damaged, or holds a name or a link that leads out of it.
    """
    try:
        # Asked for tar first: one that ends with a zip file, as .npz files are, would pass for that.
        if not tarfile.is_tarfile(archive) and zipfile.is_zipfile(archive):
            _unzip(archive, folder)
        else:
            with tarfile.open(archive) as opened:
                opened.extractall(folder, filter="data")
    except Exception as error:  # both formats and their decompressors raise many types of errors for damaged bytes
        name = named or archive
        raise BadInput(f"{name} is not an archive that can be unpacked safely: {one_line(error)}.") from None


def _unzip(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        for entry in opened.infolist():
            place = (folder / entry.filename).resolve()
            is_link = (entry.external_attr >> 16) & 0o170000 == 0o120000
            if is_link or not place.is_relative_to(folder.resolve()):
                raise ValueError(f"{entry.filename!r} leads out of it")
        opened.extractall(folder)
