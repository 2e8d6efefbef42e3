"""Multi30k from a folder and from a (local) server: checksums, resuming, no network."""

import gzip
import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from utils.errors import DataError
from utils.text import multi30k
from utils.text.download import fetch

FILES = {
    name: gzip.compress("".join(f"{name} sentence {i}\n" for i in range(50)).encode()) for name in multi30k.CHECKSUMS
}


class Handler(BaseHTTPRequestHandler):
    """Serves FILES, knows Range, and can break off in the middle."""

    break_off_after: int | None = None
    requests: list = []

    def do_GET(self):
        content = FILES.get(self.path.strip("/"))
        if content is None:
            self.send_error(404)
            return
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0])
        Handler.requests.append((self.path, start))
        if start and start >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        end = len(content) if Handler.break_off_after is None else start + Handler.break_off_after
        self.wfile.write(content[start:end])

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("MULTI30K_DIR", raising=False)
    monkeypatch.setattr(
        multi30k, "CHECKSUMS", {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
    )
    Handler.break_off_after, Handler.requests = None, []
    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{http.server_port}/"
    http.shutdown()
    http.server_close()


def test_downloads_once_and_then_reads_the_cache(server):
    splits = multi30k.load_multi30k(address=server)
    assert [len(splits[name]) for name in ("train", "valid", "test")] == [50, 50, 50]
    assert splits["train"][7] == ("train.en.gz sentence 7", "train.de.gz sentence 7")
    asked = len(Handler.requests)
    multi30k.load_multi30k(address=server)
    assert len(Handler.requests) == asked == 6


def test_a_broken_download_is_continued_where_it_broke(server, tmp_path):
    name = "train.en.gz"
    Handler.break_off_after = 20
    with pytest.raises(DataError):
        fetch(server + name, tmp_path / name, multi30k.CHECKSUMS[name], "copy it")
    Handler.break_off_after = None
    assert not (tmp_path / name).exists()
    fetch(server + name, tmp_path / name, multi30k.CHECKSUMS[name], "copy it")
    assert (tmp_path / name).read_bytes() == FILES[name]
    assert Handler.requests[-1] == (f"/{name}", 20)


def test_wrong_checksum_leaves_nothing_behind(server, tmp_path):
    path = tmp_path / "train.en.gz"
    path.write_bytes(b"what was here before")
    with pytest.raises(DataError, match="wrong SHA-256"):
        fetch(server + "train.en.gz", path, "0" * 64, "copy it")
    assert path.read_bytes() == b"what was here before"
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["train.en.gz"]


def test_no_network_and_unwritable_folder_end_in_a_sentence(server, tmp_path):
    with pytest.raises(DataError, match="cannot be fetched .* or copy it"):
        fetch("http://127.0.0.1:9/x", tmp_path / "x", "0" * 64, "copy it")
    with pytest.raises(DataError, match="404"):
        fetch(server + "nothing", tmp_path / "x", "0" * 64, "copy it")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="cannot be written"):
        fetch(server + "train.en.gz", tmp_path / "file" / "x", "0" * 64, "copy it")


def test_reads_a_folder_packed_or_unpacked_and_the_variable(tmp_path, monkeypatch):
    for name, content in FILES.items():
        if name.endswith("en.gz"):
            (tmp_path / name).write_bytes(content)
        else:
            (tmp_path / name.removesuffix(".gz")).write_bytes(gzip.decompress(content))
    assert len(multi30k.load_multi30k(tmp_path)["test"]) == 50
    monkeypatch.setenv("MULTI30K_DIR", str(tmp_path))
    assert len(multi30k.load_multi30k()["valid"]) == 50
    (tmp_path / "val.de").unlink()
    with pytest.raises(DataError, match=r"neither val\.de\.gz nor val\.de"):
        multi30k.load_multi30k(tmp_path)
    with pytest.raises(DataError, match="no folder"):
        multi30k.load_multi30k(tmp_path / "nowhere")
