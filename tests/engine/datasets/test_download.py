"""Fetching from a server that misbehaves on purpose: what is kept, what is said, what never stands under its name."""

import hashlib
import io
import json
import subprocess
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from typer.testing import CliRunner

from benchmarks import registry
from benchmarks.cli.main import app
from benchmarks.engine.datasets import catalogue, download
from benchmarks.errors import BadInput

BODY = bytes(range(256)) * 20_000  # 5 MB: several pieces
MD5 = hashlib.md5(BODY).hexdigest()


class Server(ThreadingHTTPServer):
    """Answers by a function of the number of the request; remembers what was asked."""

    daemon_threads = True

    def __init__(self, answer):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer, self.asked = answer, []


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(dict(self.headers))
        self.server.answer(self, len(self.server.asked))

    def log_message(self, *_):
        pass

    def give(self, body, status=200, length=None, **headers):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def served(monkeypatch):
    """Serve by a function; gives (answer) -> address."""
    monkeypatch.setattr(download, "PAUSE_S", 0.0)
    monkeypatch.setattr(download, "TIMEOUT_S", 2)
    servers = []

    def start(answer):
        server = Server(answer)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return server, f"http://127.0.0.1:{server.server_address[1]}/data.bin"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def file(url, checksum=f"md5:{MD5}", unpack="", name="data.bin"):
    return catalogue.File("human_mpra", name, "read", checksum, unpack, url, "bytes")


def left(folder):
    """Name what stands in a folder, without what a later call goes on with."""
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(path.as_posix() for path in files if ".partial" not in path.parts)


def test_a_whole_file_is_verified_recorded_and_not_fetched_twice(served, tmp_path):
    server, url = served(lambda h, n: h.give(BODY))
    seen = []
    found = download.fetch(file(url), tmp_path, on_progress=lambda name, done, total: seen.append((done, total)))
    assert (found.how, found.bytes, found.path.read_bytes() == BODY) == ("fetched", len(BODY), True)
    assert seen[-1] == (len(BODY), len(BODY))
    assert left(tmp_path) == ["FETCHED.json", "data.bin"]
    assert not (tmp_path / ".partial").exists()
    assert download.fetch(file(url), tmp_path, offline=True).how == "there"
    assert len(server.asked) == 1


def test_what_has_no_checksum_is_recorded_and_must_stay_the_same(served, tmp_path):
    _, url = served(lambda h, n: h.give(BODY if n == 1 else BODY[::-1]))
    assert download.fetch(file(url, ""), tmp_path).how == "recorded"
    record = json.loads((tmp_path / "FETCHED.json").read_text())
    assert record["data.bin"]["sha256"] == hashlib.sha256(BODY).hexdigest()
    (tmp_path / "data.bin").unlink()
    with pytest.raises(BadInput, match="that was recorded when it was first fetched"):
        download.fetch(file(url, ""), tmp_path)
    assert left(tmp_path) == ["FETCHED.json"]


def test_a_blob_id_is_that_of_git(served, tmp_path):
    _, url = served(lambda h, n: h.give(BODY))
    (tmp_path / "body").write_bytes(BODY)
    blob = subprocess.run(["git", "hash-object", tmp_path / "body"], capture_output=True, text=True, check=True)
    assert download.fetch(file(url, f"git:{blob.stdout.strip()}"), tmp_path / "data").how == "fetched"


def test_a_partial_file_is_gone_on_with(served, tmp_path):
    def answer(handler, number):
        if number <= 3:  # cut short in every try of the first call
            start = int(handler.headers.get("Range", "bytes=0-")[6:-1])
            piece = BODY[start : start + 1_500_000]
            status = 206 if start else 200
            handler.give(piece, status, length=len(BODY) - start, ETag='"one"')
            handler.close_connection = True
        else:
            start = int(handler.headers["Range"][6:-1])
            handler.give(BODY[start:], 206, ETag='"one"')

    server, url = served(answer)
    with pytest.raises(BadInput, match=r"4,325,376 bytes are kept; the same command resumes"):
        download.fetch(file(url), tmp_path)
    assert left(tmp_path) == []
    assert download.fetch(file(url), tmp_path).path.read_bytes() == BODY
    assert server.asked[3]["Range"] == "bytes=4325376-"  # three times 22 whole pieces of 65,536 bytes
    assert server.asked[3]["If-Range"] == '"one"'


@pytest.mark.parametrize("how", ["no ranges", "another file", "beyond its end"])
def test_a_rest_that_does_not_belong_is_not_added(served, tmp_path, how):
    def answer(handler, number):
        if number == 1:
            handler.give(BODY[:1_000_000], length=len(BODY), ETag='"old"')
            handler.close_connection = True
        elif how == "beyond its end" and "Range" in handler.headers:
            handler.give(b"", 416)
        else:  # the whole file, whatever was asked for
            handler.give(BODY, ETag='"old"' if how == "no ranges" else '"new"')

    _, url = served(answer)
    assert download.fetch(file(url), tmp_path).path.read_bytes() == BODY


def cut(handler, number):
    handler.give(BODY[:1000], length=len(BODY))
    handler.close_connection = True


def stalls(handler, number):
    handler.give(BODY[:1000], length=len(BODY))
    threading.Event().wait(4)


PAGE = b"\n<!DOCTYPE html><html><body>Please log in</body></html>"
WRONG = {
    "a page instead of the file": (lambda h, n: h.give(PAGE, Content_Type="text/html"), "web page instead of the file"),
    "another file": (lambda h, n: h.give(BODY[::-1]), f"expected the published md5 checksum {MD5}"),
    "cut short": (cut, "bytes are kept|broke|ended at"),
    "nothing": (lambda h, n: h.give(b""), "empty file"),
    "gone": (lambda h, n: h.give(b"no", 404), "answers 404"),
    "forbidden": (lambda h, n: h.give(b"no", 403), "answers 403"),
    "broken": (lambda h, n: h.give(b"no", 500), "answers 500"),
    "turned in a circle": (lambda h, n: h.give(b"", 302, Location="/data.bin"), "redirects"),
    "stalled": (stalls, "no answer in time|broke"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_failed_download_is_one_sentence_and_leaves_no_file(served, tmp_path, what):
    answer, told = WRONG[what]
    _, url = served(answer)
    with pytest.raises(BadInput, match=told) as refused:
        download.fetch(file(url), tmp_path)
    assert "\n" not in str(refused.value)
    assert left(tmp_path) == []


def test_what_passes_is_tried_again(served, tmp_path):
    server, url = served(lambda h, n: h.give(b"busy", 503) if n < 3 else h.give(BODY))
    assert download.fetch(file(url), tmp_path).how == "fetched"
    assert len(server.asked) == 3


def test_no_network_and_offline_are_told_apart(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "PAUSE_S", 0.0)
    with pytest.raises(BadInput, match="the connection is refused"):
        download.fetch(file("http://127.0.0.1:9/data.bin"), tmp_path)
    with pytest.raises(BadInput, match="--offline forbids"):
        download.fetch(file("http://127.0.0.1:9/data.bin"), tmp_path, offline=True)


def packed(entries, kind="tar"):
    """Pack name -> bytes, or a function that makes the tar entry."""
    stream = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(stream, "w") as archive:
            for name, content in entries.items():
                archive.writestr(name, content)
    else:
        with tarfile.open(fileobj=stream, mode="w:gz") as archive:
            for name, content in entries.items():
                entry = tarfile.TarInfo(name)
                if callable(content):
                    content(entry)
                    archive.addfile(entry)
                else:
                    entry.size = len(content)
                    archive.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_archives_are_unpacked_into_the_folder_of_the_task(served, tmp_path, kind):
    body = packed({"human_mpra/K562_clean.tsv": b"k", "human_mpra/more/x": b"x"}, kind)
    _, url = served(lambda h, n: h.give(body))
    download.fetch(file(url, "", ".", f"data.{kind}"), tmp_path)
    assert (tmp_path / "K562_clean.tsv").read_bytes() == b"k"
    assert (tmp_path / "more" / "x").read_bytes() == b"x"
    (tmp_path / "K562_clean.tsv").write_bytes(b"mine")
    download.fetch(file(url, "", ".", f"data.{kind}"), tmp_path, offline=True)
    assert (tmp_path / "K562_clean.tsv").read_bytes() == b"mine", "what is there stays"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def link(to):
    def make(entry):
        entry.type, entry.linkname = tarfile.SYMTYPE, to

    return make


def device(entry):
    entry.type = tarfile.CHRTYPE


@pytest.mark.parametrize(
    ("entries", "kind"),
    [
        ({"ok": b"1", "../outside": b"x"}, "tar"),
        ({"ok": b"1", "a/../../outside": b"x"}, "tar"),
        ({"ok": b"1", "link": link("/etc/passwd")}, "tar"),
        ({"ok": b"1", "link": link("../../outside")}, "tar"),
        ({"ok": b"1", "device": device}, "tar"),
        ({"ok": b"1", "../outside": b"x"}, "zip"),
        ({"ok": b"1", "/tmp/outside-of-an-archive": b"x"}, "zip"),
    ],
)
def test_archives_that_lead_out_are_refused_whole(served, tmp_path, entries, kind):
    body = packed(entries, kind)
    _, url = served(lambda h, n: h.give(body))
    with pytest.raises(BadInput, match="not an archive that can be unpacked safely"):
        download.fetch(file(url, "", ".", f"data.{kind}"), tmp_path / "data")
    assert left(tmp_path) == []
    assert not list(tmp_path.parent.glob("outside*"))


def test_a_damaged_archive_is_refused(served, tmp_path):
    _, url = served(lambda h, n: h.give(b"no archive at all"))
    with pytest.raises(BadInput, match="not an archive"):
        download.fetch(file(url, "", "."), tmp_path)
    assert left(tmp_path) == []


def test_the_catalogue_is_whole():
    files = catalogue.read()
    published = {name for name in registry.tasks() if registry.get_task(name).DATASETS}
    assert {one.task for one in files} == published
    assert len({(one.task, one.name) for one in files}) == len(files)
    for task in published:
        assert [one for one in files if one.task == task and one.wanted != "no"]
    assert sum(one.checksum.startswith("md5:") for one in files) >= 20


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("yeast,../x,read,,,https://a.org/x,y", "column 'name'"),
        ("yeast,x,read,,/etc,https://a.org/x,y", "column 'unpack'"),
        ("yeast,x,read,,,file:///etc/passwd,y", "column 'url'"),
        ("yeast,x,yes,,,https://a.org/x,y", "column 'wanted'"),
        ("yeast,x,read,md5:12,,https://a.org/x,y", "column 'checksum'"),
        ("yeast,x,read,,,https://a.org/x,y,z", "line 2: expected 7 cells"),
        ("yeast,x,read,,,https://a.org/x", "line 2: expected 7 cells"),
    ],
)
def test_a_catalogue_that_leads_astray_is_refused(tmp_path, line, told):
    (tmp_path / "c.csv").write_text(f"task,name,wanted,checksum,unpack,url,content\n{line}\n")
    with pytest.raises(BadInput, match=told):
        catalogue.read(tmp_path / "c.csv")


def call(*words):
    return CliRunner().invoke(app, ["fetch", *map(str, words)])


def test_the_command_lists_fetches_and_goes_on_after_a_failure(served, tmp_path, monkeypatch):
    _, url = served(lambda h, n: h.give(BODY) if "good" in h.path else h.give(b"", 404))
    entries = [file(url.replace("data", name), f"md5:{MD5}", name=f"{name}.bin") for name in ("bad", "good")]
    monkeypatch.setattr(catalogue, "read", lambda: entries)
    done = call("--task", "human_mpra", "--data", tmp_path, "--json")
    found = json.loads(done.stdout)
    assert done.exit_code == 2
    assert [one["file"] for one in found["files"]] == ["good.bin"]
    assert [one["file"] for one in found["failed"]] == ["bad.bin"]
    listed = json.loads(call("--list", "--task", "human_mpra", "--data", tmp_path, "--json").stdout)
    assert [one["there"] for one in listed] == [False, True]
    assert "good.bin" in call("--list", "--data", tmp_path).stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "--task is missing"),
        (("--task", "yeats"), "yeast"),
        (("--task", "yeast", "--file", "nothing.txt"), "nothing.txt"),
        (("--task", "yeast", "--task", "atac", "--file", "x"), "one --task"),
    ],
)
def test_bad_words_are_one_sentence(words, told, tmp_path):
    done = call(*words, "--data", tmp_path)
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert told in done.stderr


def test_a_run_fetches_what_it_lacks_after_asking(served, tmp_path, monkeypatch):
    rows = "".join(f"s{i}_Forward\t{'ACGT' * 57 + 'AC'}\t{i}\t{i % 10}\n" for i in range(20))
    table = ("seq_id\tseq\tmean_value\tfold\n" + rows).encode()
    body = packed({f"human_mpra/{name}_clean.tsv": table for name in ("HepG2", "K562", "WTC11")})
    server, url = served(lambda h, n: h.give(body))
    monkeypatch.setattr(catalogue, "read", lambda: [file(url, "", ".", "human_mpra_data.tar.gz")])
    monkeypatch.chdir(tmp_path)
    words = ["run", "--task", "human_mpra", "--preset", "paper", "--models", "kmer_ridge", "--workers", "0"]
    refused = CliRunner().invoke(app, words)
    assert refused.exit_code == 2
    assert "python -m benchmarks fetch --task human_mpra" in refused.stderr
    assert server.asked == []
    CliRunner().invoke(app, [*words, "--dry-run", "--yes"])
    assert server.asked == [], "a dry run fetches nothing"
    CliRunner().invoke(app, [*words, "--yes"])
    assert len(server.asked) == 1
    assert (tmp_path / "data" / "human_mpra" / "WTC11_clean.tsv").read_bytes() == table


@pytest.mark.parametrize("text", ["", "\n\n", "a,b\n1,2\n"])
def test_what_is_no_catalogue_is_refused(tmp_path, text):
    (tmp_path / "c.csv").write_text(text)
    with pytest.raises(BadInput, match="the columns task, name"):
        catalogue.read(tmp_path / "c.csv")
