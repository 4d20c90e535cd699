"""Text tables in every format: what was written is what is read, and what the file was taken for is said."""

import csv
import gzip
import io

import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from benchmarks.errors import BadInput
from benchmarks.io import columns, sequence_files, tables
from benchmarks.io.account import Account

DNA = st.text("ACGTN", min_size=20, max_size=40)
WORDS = ["NA", "nan", "null", "1", "007", "1e5", "2026-11-30", "a,b", "a;b", "a|b", 'say "x"', "tab\there", "#1", "1,5"]
WORD = st.one_of(
    st.sampled_from(WORDS),
    st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=8),
)
ROWS = st.lists(st.tuples(WORD, DNA, st.floats(-9, 9).map(lambda x: f"{x:.3f}")), min_size=3, max_size=12)
HEADER = ["seq_id", "seq", "value"]


def written(rows, *, delimiter, quoting, encoding, zipped):
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, quoting=quoting, lineterminator="\n").writerows(rows)
    content = text.getvalue().encode(encoding)
    return gzip.compress(content) if zipped else content


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=ROWS,
    delimiter=st.sampled_from("\t,;|"),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    zipped=st.booleans(),
)
@example([("#1", "ACGT" * 6, "1")] * 3, "\t", csv.QUOTE_MINIMAL, "utf-8", False)
def test_what_was_written_is_what_is_read(tmp_path, rows, delimiter, quoting, encoding, zipped):
    options = {"delimiter": delimiter, "quoting": quoting, "encoding": encoding, "zipped": zipped}
    (tmp_path / "t.txt").write_bytes(written([HEADER, *rows], **options))
    table = tables.read_headed(tmp_path / "t.txt")
    assert list(table) == HEADER
    assert [tuple(row) for row in table.to_numpy().tolist()] == rows
    (piece,) = sequence_files.read_pieces(tmp_path / "t.txt")
    assert (piece.ids, piece.sequences) == ([row[0] for row in rows], [row[1] for row in rows])


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS)
def test_parquet_comes_back_as_it_was_written(tmp_path, rows):
    pd.DataFrame(rows, columns=HEADER).to_parquet(tmp_path / "t.parquet")
    assert [tuple(row) for row in tables.read_headed(tmp_path / "t.parquet").to_numpy().tolist()] == rows
    (piece,) = sequence_files.read_pieces(tmp_path / "t.parquet")
    assert piece.ids == [row[0] for row in rows]


SEQ = "ACGTTGCA" * 4
R_TABLE = f'"seq_id" "seq" "value"\n"1" "a" "{SEQ}" 1.5\n"2" "b \\"c\\"" "{SEQ}" 2\n'


@pytest.mark.parametrize(
    ("text", "header", "first"),
    [
        (R_TABLE, ["(row names)", "seq_id", "seq", "value"], ["1", "a", SEQ, "1.5"]),
        (f'"","seq"\n"1","{SEQ}"\n"2","{SEQ}"\n', ["(row names)", "seq"], ["1", SEQ]),
        (f"seq\tvalue\t\t\n{SEQ}\t1\t\t\n{SEQ}\t2\t\t\n", ["seq", "value"], [SEQ, "1"]),
        (f"seq\tvalue\n{SEQ}\t1\t\n{SEQ}\t2\t\n", ["seq", "value"], [SEQ, "1"]),
        (f"# made in spring\n\nseq\tvalue\n{SEQ}\t1\n", ["seq", "value"], [SEQ, "1"]),
        (f"# made in spring\n#seq\tvalue\n{SEQ}\t1\n", ["seq", "value"], [SEQ, "1"]),
        (f"seq\tvalue\r\n{SEQ}\t1\r\n# the rest is poor\r\n{SEQ}\t2\r\n", ["seq", "value"], [SEQ, "1"]),
        (f"seq,value\r{SEQ},1\r{SEQ},2\r", ["seq", "value"], [SEQ, "1"]),
    ],
    ids=["R", "R csv", "tabs at the end", "tabs in rows", "comment", "header in a comment", "late comment", "old Mac"],
)
def test_what_tools_add_to_a_table_is_understood(tmp_path, text, header, first):
    (tmp_path / "t.txt").write_text(text, newline="")
    table = tables.read_headed(tmp_path / "t.txt")
    assert list(table) == header
    assert table.iloc[0].tolist() == first


def test_quotes_escaped_as_r_does_are_read(tmp_path):
    (tmp_path / "t.txt").write_text(R_TABLE)
    assert tables.read_headed(tmp_path / "t.txt")["seq_id"].tolist() == ["a", 'b "c"']


def test_a_cell_may_go_on_over_lines_and_lines_are_counted(tmp_path):
    (tmp_path / "t.csv").write_text(f'seq,note\n{SEQ},"two\nlines"\n{SEQ},x\n')
    table = tables.read_headed(tmp_path / "t.csv")
    assert table.index.tolist() == [2, 4]
    assert table["note"].tolist() == ["two\nlines", "x"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"PK\x03\x04 sheet", "spreadsheet"),
        (b"BZh91AY", "bzip2"),
        ("seq\tn\u00e4me\n".encode("latin-1"), "line 1: the byte 0xe4 is not UTF-8"),
    ],
    ids=["xlsx", "bzip2", "latin-1"],
)
def test_what_a_file_is_instead_of_a_table_is_said(tmp_path, content, says):
    (tmp_path / "t.tsv").write_bytes(content)
    with pytest.raises(BadInput, match=says):
        tables.read_headed(tmp_path / "t.tsv")


def test_comments_are_counted_in_the_account(tmp_path):
    (tmp_path / "t.tsv").write_text(f"seq\tvalue\n{SEQ}\t1\n# poor\n{SEQ}\t2\n")
    account = Account("t.tsv")
    assert len(tables.read_headed(tmp_path / "t.tsv", account=account)) == 2
    assert account.sentences() == [
        "t.tsv was read as a tab-separated table in UTF-8.",
        "1 line left out: comments, which begin with '#' (first: line 3).",
    ]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["0,5", "-1,25", "3"], [0.5, -1.25, 3]),
        (["1,5e-3", "2"], [0.0015, 2]),
        (["\u22120.5", "2"], [-0.5, 2]),
    ],
)
def test_numbers_of_other_countries_and_word_processors(tmp_path, cells, expected):
    table = pd.DataFrame({"x": pd.Series(cells, dtype="str")})
    assert tables.numbers(tmp_path, table, "x").tolist() == pytest.approx(expected)


@pytest.mark.parametrize("cells", [["1,500", "2,250"], ["1,5", "2.5"]], ids=["thousands", "both"])
def test_commas_that_could_mean_something_else_are_refused(tmp_path, cells):
    table = pd.DataFrame({"x": pd.Series(cells, dtype="str")})
    with pytest.raises(BadInput, match="a finite number expected"):
        tables.numbers(tmp_path, table, "x")


def test_missing_numbers_have_many_names(tmp_path):
    table = pd.DataFrame({"x": pd.Series(["1", "NA", "n/a", "#N/A", "null", None, "."], dtype="str")})
    values = tables.numbers(tmp_path, table, "x", may_miss=True)
    assert values[0] == 1
    assert pd.isna(values[1:]).all()


VALUE = columns.Role("value", ("mean_value", "expression", "log2FC"), "activities", required=True, asks=True)


def resolved(header, given=None, account=None):
    table = pd.DataFrame([[SEQ if "seq" in name.lower() else "1" for name in header]] * 2, columns=header, index=[2, 3])
    roles = (columns.ID, columns.SEQUENCE, VALUE)
    return columns.resolve("t.tsv", table, roles, given or {}, account or Account("t.tsv"))


def test_columns_go_by_name_in_any_case_and_punctuation():
    found = resolved(["Name", "SEQ", "log2 fc", "extra"], account=(account := Account("t.tsv")))
    assert found == {"id": "Name", "sequence": "SEQ", "value": "log2 fc"}
    assert account.not_used == ["extra"]


def test_a_published_name_goes_before_others():
    assert resolved(["seq", "mean_value", "expression"])["value"] == "mean_value"


@pytest.mark.parametrize(
    ("header", "given", "says"),
    [
        (["seq", "expression", "log2FC"], {}, "expression and log2FC could each .*--columns value=expression"),
        (["seq", "HepG2", "K562"], {}, r"no column of activities .*HepG2, K562.*--columns value=HepG2 \(or K562\)"),
        (["oligo_seq", "mean_value"], {}, "no column of sequences .*--columns sequence=oligo_seq"),
        (["seq", "mean_value"], {"value": "mean_valu"}, "Did you mean 'mean_value'|mean_value"),
        (["seq", "mean_value"], {"values": "seq"}, "--columns: .*'values'"),
    ],
)
def test_what_is_not_clear_is_asked_for(header, given, says):
    with pytest.raises(BadInput, match=says):
        resolved(header, given)


@pytest.mark.parametrize("options", [["seq"], ["sequence="], ["sequence=a,sequence=b"]])
def test_columns_that_cannot_be_read_are_refused(options):
    with pytest.raises(BadInput, match="--columns expects"):
        columns.parse(options)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["0", "1"], [0, 1]),
        (["0.0", "1.0"], [0, 1]),
        (["+", "-"], [0, 1]),
        (["1", "-1"], [0, 1]),
        (["F", "R"], [0, 1]),
        (["False", "true"], [0, 1]),
        (["forward", "Reverse"], [0, 1]),
    ],
)
def test_strands_are_written_in_many_ways(cells, expected):
    table = pd.DataFrame({"s": pd.Series(cells, index=[2, 3], dtype="str")})
    assert columns.strands("t.tsv", table, "s").tolist() == expected


@pytest.mark.parametrize("cell", ["nan", "-5", "2", "", "."])
def test_a_strand_that_is_none_is_named(cell):
    table = pd.DataFrame({"s": pd.Series(["0", cell], index=[2, 5], dtype="str")})
    with pytest.raises(BadInput, match="line 5, column 's': 0 or 1"):
        columns.strands("t.tsv", table, "s")
