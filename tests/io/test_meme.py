"""Motifs in MEME format: what is read, and one sentence for what is wrong."""

import numpy as np
import pytest

from benchmarks.errors import BadInput
from benchmarks.io.meme import is_meme, read_meme

GOOD = """MEME version 4

ALPHABET= ACGT

strands: + -

Background letter frequencies
A 0.3 C 0.2 G 0.2 T 0.3

MOTIF MA0001.1 REB1
letter-probability matrix: alength= 4 w= 2 nsites= 20 E= 0
 0.10  0.20  0.30  0.40
 1.00  0.00  0.00  0.00
URL http://example.org

MOTIF RAP1
letter-probability matrix: alength= 4 w= 1
 0.25 0.25 0.25 0.25
"""


def written(tmp_path, text):
    file = tmp_path / "motifs.meme"
    file.write_text(text)
    return file


def test_matrices_are_read_with_their_names(tmp_path):
    file = written(tmp_path, GOOD)
    motifs = read_meme(file)
    assert is_meme(file)
    assert list(motifs) == ["REB1", "RAP1"]
    np.testing.assert_allclose(motifs["REB1"], [[0.1, 0.2, 0.3, 0.4], [1, 0, 0, 0]])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("ALPHABET= ACGT", "ALPHABET= ACGU", "line 3: expected ALPHABET= ACGT"),
        ("0.30  0.40", "0.30", "line 12: expected four probabilities"),
        ("0.30  0.40", "0.30  0.90", "line 12: expected four probabilities"),
        ("MOTIF RAP1", "MOTIF REB1", "line 16: motif 'REB1' appears twice"),
        ("w= 1\n 0.25 0.25 0.25 0.25\n", "w= 1\n", "motif 'RAP1' ends after 0 of 1 rows"),
        ("letter-probability matrix: alength= 4 w= 2 nsites= 20 E= 0\n", "", "line 15: motif 'REB1' has no"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path, old, new, message):
    with pytest.raises(BadInput, match=message):
        read_meme(written(tmp_path, GOOD.replace(old, new)))
