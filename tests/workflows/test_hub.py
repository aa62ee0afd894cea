"""A model pushed to a hub and pulled from it, over HTTP, against a hub that keeps files in a dictionary."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
import torch

pytest.importorskip("huggingface_hub")

from ushape.core.errors import DataError, ModelFileError, OutputError
from ushape.core.model_file import ModelHeader, write_model
from ushape.nets.unet import UNet
from ushape.plan.recipe import Recipe, to_toml
from ushape.workflows.hub import pull_from_hub, push_to_hub
from ushape.workflows.model import load

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(BaseHTTPRequestHandler):
    files: ClassVar[dict[str, bytes]] = {}
    asked: ClassVar[list[str]] = []
    fault: ClassVar[str] = "EntryNotFound"

    def do_GET(self) -> None:
        self.asked.append(f"{self.command} {self.path}")
        name = self.path.split("/resolve/")[-1].split("/", 1)[-1]
        if "/resolve/" not in self.path or name not in self.files:
            self.answer(404, b"{}", {"X-Error-Code": self.fault})
            return
        content = self.files[name]
        etag = hashlib.sha256(content).hexdigest()
        self.answer(200, content, {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT})

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        self.asked.append(f"{self.command} {self.path}")
        home = f"http://{self.headers['Host']}/somebody/cells"
        body = self.read_body()
        if self.path.endswith("/repos/create"):
            reply: object = {"url": home, "id": "somebody/cells"}
        elif self.path.endswith("/validate-yaml"):
            reply = {"warnings": [], "errors": []}
        elif "/preupload/" in self.path:
            names = [file["path"] for file in json.loads(body)["files"]]
            reply = {"files": [{"path": name, "uploadMode": "regular", "shouldIgnore": False} for name in names]}
        else:
            lines = [json.loads(line) for line in body.splitlines() if line.strip()]
            added = [line["value"] for line in lines if line["key"] == "file"]
            self.files.update({file["path"]: base64.b64decode(file["content"]) for file in added})
            reply = {"commitUrl": f"{home}/commit/{COMMIT}", "commitOid": COMMIT, "success": True}
        self.answer(200, json.dumps(reply).encode(), {"Content-Type": "application/json"})

    def read_body(self) -> bytes:
        if "Content-Length" in self.headers:
            return self.rfile.read(int(self.headers["Content-Length"]))
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def answer(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def endpoint() -> Iterator[str]:
    Hub.files, Hub.asked, Hub.fault = {}, [], "EntryNotFound"
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    recipe = Recipe.model_validate({"net": {"widths": [4, 8]}})
    header = ModelHeader(to_toml(recipe, {}), 1, {"date": "2026-01-02"}, {"dice": {"foreground": 0.91}}, 1234)
    write_model(tmp_path / "model.safetensors", UNet(recipe.net).state_dict(), header)
    return tmp_path / "model.safetensors"


def test_a_model_comes_back_as_it_went_with_a_card_and_the_second_time_without_the_network(
    endpoint: str, model: Path, tmp_path: Path
) -> None:
    url = push_to_hub(model, "somebody/cells", endpoint=endpoint)
    assert url.endswith(COMMIT)
    assert sorted(Hub.files) == ["README.md", "model.safetensors"]
    card = Hub.files["README.md"].decode()
    for part in (
        "# somebody/cells",
        "| foreground | 255 |",
        "| foreground | 0.910 |",
        "1,234 weights",
        "- date: 2026-01-02",
    ):
        assert part in card
    pulled = pull_from_hub("hub:somebody/cells", endpoint=endpoint, cache=tmp_path / "cache")
    assert pulled.read_bytes() == model.read_bytes()
    asked = len(Hub.asked)
    assert pull_from_hub("somebody/cells", endpoint=endpoint, cache=tmp_path / "cache") == pulled
    assert len(Hub.asked) == asked
    image = torch.rand(1, 20, 30).numpy()
    assert (load(pulled).predict(image).label == load(model).predict(image).label).all()


def test_what_the_hub_has_not_and_what_is_no_name_are_told(endpoint: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"hub:somebody/none: .* on the hub, got a repository without model"):
        pull_from_hub("somebody/none", endpoint=endpoint, cache=tmp_path)
    asked = len(Hub.asked)
    for name in ("a/b/c", "nuc", "hub:nuc", "/nuc", ""):
        with pytest.raises(DataError, match=r"expected hub:OWNER/NAME"):
            pull_from_hub(name, endpoint=endpoint, cache=tmp_path)
    with pytest.raises(DataError, match=r"expected hub:OWNER/NAME"):
        push_to_hub(tmp_path, "nuc", endpoint=endpoint)
    assert len(Hub.asked) == asked
    Hub.fault = "RepoNotFound"
    with pytest.raises(DataError, match=r"got no such repository, or a private one"):
        pull_from_hub("somebody/none", endpoint=endpoint, cache=tmp_path)


def test_a_hub_that_is_not_there_is_told_after_one_try(
    model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    nowhere = "http://127.0.0.1:9"
    with pytest.raises(OutputError, match=r"somebody/cells: cannot be pushed, since .* does not answer .* the network"):
        push_to_hub(model, "somebody/cells", endpoint=nowhere)
    with pytest.raises(
        DataError, match=r"hub:somebody/cells: .* does not answer .*; check the network, or give a file"
    ):
        pull_from_hub("somebody/cells", endpoint=nowhere, cache=tmp_path)
    assert "Retrying" not in caplog.text


def test_only_models_are_pushed(tmp_path: Path, endpoint: str) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"something else")
    with pytest.raises(ModelFileError):
        push_to_hub(tmp_path, "somebody/cells", endpoint=endpoint)
    assert Hub.asked == []
