"""Reading tables: kinds of file told apart by content, line numbers, damaged files."""

import gzip

import numpy as np
import pandas as pd
import pytest

from benchmarks.errors import BadInput
from benchmarks.io import tables

TEXT = "name\tvalue\nfirst\t1.5\nsecond\t-2\n"
CELLS = [["name", "value"], ["first", "1.5"], ["second", "-2"]]


@pytest.fixture
def write(tmp_path):
    def write(content, name="table.tsv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def refusal(path):
    with pytest.raises(BadInput) as caught:
        tables.read_cells(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    "content",
    [
        TEXT,
        TEXT.rstrip("\n"),
        TEXT.replace("\n", "\r\n"),
        TEXT.replace("\t", ","),
        '"name","value"\r\n"first","1.5"\r\n"second","-2"\r\n',
        "\ufeff" + TEXT,
        gzip.compress(TEXT.encode()),
        gzip.compress(TEXT[:8].encode()) + gzip.compress(TEXT[8:].encode()),
    ],
    ids=["tsv", "no last newline", "CRLF", "csv", "quoted csv", "byte order mark", "gzip", "gzip in two parts"],
)
@pytest.mark.parametrize("name", ["table.tsv", "table.csv", "table.txt.gz"])
def test_the_kind_of_a_text_file_is_told_by_content_not_by_name(write, content, name):
    cells = tables.read_cells(write(content, name))
    assert cells.to_numpy().tolist() == CELLS
    assert cells.index.tolist() == [1, 2, 3]


def test_parquet_is_read_as_text_with_its_column_names_first(tmp_path):
    frame = pd.DataFrame({"name": ["first", None], "value": [1.5, np.nan], "n": [1, 2]})
    frame.to_parquet(tmp_path / "table.csv")
    cells = tables.read_cells(tmp_path / "table.csv")
    assert cells.fillna("nothing").to_numpy().tolist() == [
        ["name", "value", "n"],
        ["first", "1.5", "1"],
        ["nothing", "nothing", "2"],
    ]


def test_parquet_numbers_come_through_unrounded(tmp_path):
    values = np.random.default_rng(0).normal(size=50)
    pd.DataFrame({"value": values}).to_parquet(tmp_path / "table.parquet")
    cells = tables.read_cells(tmp_path / "table.parquet")
    assert [float(cell) for cell in cells[0][1:]] == values.tolist()


def test_a_named_parquet_index_is_a_column_too(tmp_path):
    frame = pd.DataFrame({"value": [1.5]}, index=pd.Index(["first"], name="name"))
    frame.to_parquet(tmp_path / "table.parquet")
    header = tables.read_cells(tmp_path / "table.parquet").iloc[0]
    assert set(header) == {"name", "value"}


def test_a_parquet_column_of_lists_does_not_stop_the_reading(tmp_path):
    frame = pd.DataFrame({"name": ["first", "second"], "replicates": [[1.0, 2.0], [3.0, 4.0]]})
    frame.to_parquet(tmp_path / "table.parquet")
    assert tables.read_cells(tmp_path / "table.parquet")[0].tolist() == ["name", "first", "second"]


def test_blank_lines_are_left_out_and_still_counted(write):
    cells = tables.read_cells(write("name\tvalue\n\nfirst\t1.5\n\t\n\nsecond\t-2\n\n"))
    assert cells.to_numpy().tolist() == CELLS
    assert cells.index.tolist() == [1, 3, 6]


@pytest.mark.parametrize("blank", ["\n", "\n\n", "\r\n", "\ufeff\n"])
def test_blank_lines_before_the_table_are_skipped_but_counted(write, blank):
    cells = tables.read_cells(write(blank + TEXT))
    assert cells.to_numpy().tolist() == CELLS
    assert cells.index[0] == 1 + blank.count("\n")


def test_words_for_missing_values_stay_as_they_are(write):
    cells = tables.read_cells(write("NA\tnan\nNULL\t\n"))
    assert cells.iloc[0].tolist() == ["NA", "nan"]
    assert cells.iloc[1, 0] == "NULL"
    assert pd.isna(cells.iloc[1, 1])


def test_quotes_in_tab_separated_text_are_ordinary_letters(write):
    cells = tables.read_cells(write('name\tvalue\n"quoted"\t1\n"opened\t2\n3\' end\t3\n'))
    assert cells[0].tolist() == ["name", '"quoted"', '"opened', "3' end"]


def test_commas_inside_tab_separated_cells_do_not_part_them(write):
    assert tables.read_cells(write("a,b\tc\n1,2\t3\n")).to_numpy().tolist() == [["a,b", "c"], ["1,2", "3"]]


@pytest.mark.parametrize(
    ("content", "line", "got"),
    [("a\tb\n1\t2\n1\t2\t3\n", 3, 3), ("a\tb\n\n1\t2\n\n1\t2\t3\t4\n", 5, 4), ("a,b\r\n1,2,3\r\n", 2, 3)],
)
def test_a_line_with_more_cells_than_the_first_is_named(write, content, line, got):
    assert f"line {line}: 2 columns expected as in the first line, got {got}" in refusal(write(content))


@pytest.mark.parametrize(
    "content",
    ["", "\n\n", " \r\n\t\n", "\ufeff", "\ufeff\n", gzip.compress(b""), gzip.compress(b"\n"), "\t\t\n\t\t\n"],
    ids=["nothing", "newlines", "blanks", "mark", "mark and newline", "empty gzip", "gzip of a newline", "only tabs"],
)
def test_a_file_without_content_is_called_empty(write, content):
    assert "is empty" in refusal(write(content))


@pytest.mark.parametrize("kept", [2, 5, 10, 30, -8, -1])
def test_a_truncated_gzip_is_called_so(write, kept):
    whole = gzip.compress(TEXT.encode() * 20)
    assert "truncated gzip" in refusal(write(whole[:kept], "table.tsv.gz"))


@pytest.mark.parametrize("place", [12, -6], ids=["in the data", "in the checksum"])
def test_a_damaged_gzip_is_called_so(write, place):
    damaged = bytearray(gzip.compress(np.random.default_rng(0).bytes(500).hex().encode()))
    damaged[place] ^= 0xFF
    assert "gzip" in refusal(write(bytes(damaged), "table.tsv.gz"))


@pytest.mark.parametrize(
    "content",
    [bytes(range(256)), b"name\tvalue\n\0\t1\n", gzip.compress(bytes(range(256)))],
    ids=["bytes", "a zero byte", "gzip of bytes"],
)
def test_a_binary_file_is_called_so(write, content):
    assert "binary file" in refusal(write(content))


@pytest.mark.parametrize("kept", [4, 60, -1])
def test_a_damaged_parquet_file_is_called_so(tmp_path, kept):
    path = tmp_path / "table.parquet"
    pd.DataFrame({"value": np.arange(100)}).to_parquet(path)
    path.write_bytes(path.read_bytes()[:kept])
    assert "damaged parquet" in refusal(path)


def test_an_unclosed_quote_is_refused(write):
    assert "line 2: a cell opens with a double quote" in refusal(write('a,b\n"1,2\n3,4\n'))


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path):
    assert "No file at" in refusal(tmp_path / "nowhere.tsv")
    assert "is a folder" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("K562.tsv", True),
        ("K562.csv.gz", True),
        ("K562.txt", True),
        ("K562.parquet", True),
        ("K562.tsv.gz.part", False),
        ("README.md", False),
        (".hidden.tsv", False),
    ],
)
def test_tables_are_known_by_their_names(write, name, expected):
    assert tables.is_table(write("x", name)) is expected


def test_a_folder_or_nothing_is_no_table(tmp_path):
    (tmp_path / "folder.tsv").mkdir()
    assert not tables.is_table(tmp_path / "folder.tsv")
    assert not tables.is_table(tmp_path / "nowhere.tsv")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("K562_clean.tsv.gz", "K562_clean"),
        ("my data (2).csv", "my_data_2"),
        ("a.b.parquet", "a.b"),
        ("...", "data"),
        ("été.tsv", "t"),
    ],
)
def test_a_table_is_named_after_its_file_safely_for_folders(tmp_path, name, expected):
    """In letters that are safe in folder names."""
    assert tables.table_name(tmp_path / name) == expected


def column(values, lines):
    return pd.DataFrame({"x": pd.Series(values, index=lines, dtype="str")})


def test_numbers_are_parsed_in_double_precision(tmp_path):
    parsed = tables.numbers(tmp_path, column(["0.1", "-1e-3", " 2 ", "+3"], [2, 3, 4, 5]), "x")
    assert parsed.dtype == np.float64
    assert parsed.tolist() == [0.1, -0.001, 2.0, 3.0]


def test_whole_numbers_become_integers(tmp_path):
    parsed = tables.numbers(tmp_path, column(["1", "2.0", "-3"], [2, 3, 4]), "x", whole=True)
    assert parsed.dtype == np.int64
    assert parsed.tolist() == [1, 2, -3]


@pytest.mark.parametrize("cell", ["high", "NaN", "inf", "-inf", "1,500", "1.5,2", "1_000", "True", "0x1F", "1.5.2"])
def test_a_cell_that_is_no_finite_number_is_named_with_its_line(tmp_path, cell):
    with pytest.raises(BadInput) as caught:
        tables.numbers(tmp_path / "t.tsv", column(["1", cell, "2"], [2, 7, 8]), "x")
    assert f"t.tsv, line 7, column 'x': a finite number expected, got {cell!r}" in str(caught.value)
    assert "such rows" not in str(caught.value)


def test_an_empty_cell_is_named_as_nothing_and_rows_are_counted(tmp_path):
    with pytest.raises(BadInput, match=r"line 3, column 'x': .* got nothing \(2 such rows\)"):
        tables.numbers(tmp_path, column(["1", None, "2", "?"], [2, 3, 4, 5]), "x")


@pytest.mark.parametrize("cell", ["2.5", "1e30", "one"])
def test_a_cell_that_is_no_whole_number_is_named(tmp_path, cell):
    with pytest.raises(BadInput, match=rf"line 4, column 'x': a whole number expected, got '{cell}'"):
        tables.numbers(tmp_path, column(["1", cell], [3, 4]), "x", whole=True)


def test_required_text_comes_without_surrounding_blanks(tmp_path):
    assert tables.required_text(tmp_path, column([" a ", "b\t"], [2, 3]), "x").tolist() == ["a", "b"]


@pytest.mark.parametrize("cell", [None, "", "  "])
def test_required_text_that_is_missing_is_named_with_its_line(tmp_path, cell):
    with pytest.raises(BadInput, match=r"t\.tsv, line 9: column 'x' is empty"):
        tables.required_text(tmp_path / "t.tsv", column(["a", cell], [8, 9]), "x")


def test_two_columns_of_one_name_are_refused(tmp_path):
    (tmp_path / "t.tsv").write_text("seq\tpos\tpos\nACGT\t1\t2\n")
    with pytest.raises(BadInput, match="line 1: the header has two columns named 'pos'"):
        tables.read_headed(tmp_path / "t.tsv", ["pos"])
    with pytest.raises(BadInput, match=r"column 'value' is missing; its columns are seq, pos, pos\. Look"):
        tables.read_headed(tmp_path / "t.tsv", ["value"], expected="Look.")
    (tmp_path / "t.tsv").write_text("seq\tpos\n")
    with pytest.raises(BadInput, match="is empty below its header"):
        tables.read_headed(tmp_path / "t.tsv")


def test_parquet_with_broken_text_is_refused(tmp_path):
    pd.DataFrame({"name": ["abcdefgh"] * 3}).to_parquet(tmp_path / "t.parquet", compression=None, use_dictionary=False)
    content = (tmp_path / "t.parquet").read_bytes().replace(b"abcdefgh", b"abc\xe0efgh")
    (tmp_path / "t.parquet").write_bytes(content)
    with pytest.raises(BadInput, match="is a damaged parquet file"):
        tables.read_cells(tmp_path / "t.parquet")
