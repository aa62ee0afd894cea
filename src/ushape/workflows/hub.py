"""Model files on a hub: pushed with a card made of their header, pulled once and then read from the disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ushape.core.errors import DataError, OutputError, first_line, require
from ushape.core.model_file import HUB, MODEL_FILE, read_header
from ushape.plan.recipe import read_recipe
from ushape.workflows.card import write_card
from ushape.workflows.reach import check_name, failures, quiet, see_fault, tell_error


def push_to_hub(model: str | Path, name: str, *, private: bool = True, endpoint: str | None = None) -> str:
    """Write a model file and its card into a repository of a hub, which is made if it is not there.

    Args:
        name: of the repository: OWNER/NAME.
        endpoint: the hub's address; None for huggingface_hub's own, which also keeps the token.
    Returns:
        The commit's address.
    Raises:
        ModelFileError: the file is no model.
        DataError: it is no name.
        OutputError: the hub cannot be reached, or refuses.
        MissingExtra: huggingface_hub is not installed.
    """
    check_name(name)
    file = Path(model) / MODEL_FILE if Path(model).is_dir() else Path(model)
    header = read_header(file)
    card = write_card(header, read_recipe(header.recipe, str(file)), name)
    hub = require("huggingface_hub", "hub", "pushing a model")
    files = {MODEL_FILE: file, "README.md": card.encode()}
    operations = [hub.CommitOperationAdd(path, content) for path, content in files.items()]
    api = hub.HfApi(endpoint=endpoint)
    if fault := see_fault(api.endpoint):
        raise OutputError(f"{name}: cannot be pushed, since {fault}")
    try:
        with quiet():
            api.create_repo(name, private=private, exist_ok=True)
            commit: Any = api.create_commit(name, operations, commit_message="Upload a model of ushape")
    except failures() as error:
        raise OutputError(
            f"{name}: cannot be pushed ({first_line(error)}); check the name and `hf auth login`"
        ) from error
    return str(commit.commit_url)


def pull_from_hub(name: str, *, endpoint: str | None = None, cache: Path | None = None) -> Path:
    """Return the path of a hub's model file on the disk; only if it is not there yet is the network used.

    Args:
        name: OWNER/NAME, or OWNER/NAME@REVISION for another than the one that was pulled first.
        cache: the folder of pulled files; None for huggingface_hub's own.
    Raises:
        DataError: it is no name; or it is not on the disk, and the hub has it not, or cannot be reached.
        MissingExtra: huggingface_hub is not installed.
    """
    check_name(name.removeprefix(HUB))
    hub = require("huggingface_hub", "hub", "pulling a model")
    repository, _, revision = name.removeprefix(HUB).partition("@")
    wanted = {"repo_id": repository, "filename": MODEL_FILE, "revision": revision or None, "cache_dir": cache}
    try:
        return Path(hub.hf_hub_download(**wanted, local_files_only=True))
    except FileNotFoundError:
        pass
    except ValueError as error:
        raise DataError(f"{HUB}{name}: expected {HUB}OWNER/NAME, got {first_line(error)}; correct it") from error
    where = f"{HUB}{repository}: expected a {MODEL_FILE} on the hub"
    if fault := see_fault(hub.HfApi(endpoint=endpoint).endpoint):
        raise DataError(f"{where}, but {fault}, or give a file")
    try:
        with quiet():
            return Path(hub.hf_hub_download(**wanted, endpoint=endpoint))
    except failures() as error:
        raise DataError(f"{where}, got {tell_error(error)}") from error
