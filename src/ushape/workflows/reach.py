"""Whether a name can be one on a hub, whether the hub answers, and what its errors mean."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from ushape.core.errors import DataError, first_line, require
from ushape.core.model_file import HUB, MODEL_FILE

NAME = re.compile(r"[\w.-]+/[\w.-]+(@.+)?")
"""OWNER/NAME, and a revision or none."""
SECONDS = 5
"""How long a hub may take to answer at all."""
MEANINGS = {
    "LocalEntryNotFoundError": "no answer; check the network",
    "RepositoryNotFoundError": "no such repository, or a private one; check the name, and `hf auth login`",
    "RevisionNotFoundError": "no such revision of it; check what follows @",
    "EntryNotFoundError": f"a repository without {MODEL_FILE}; check the name, or give a file",
}
"""What errors of huggingface_hub mean, by their names or those of their bases."""


def check_name(name: str) -> None:
    """Refuse what is no name of a repository, before anything is asked.

    Raises:
        DataError: it has no owner, or more than one.
    """
    if not NAME.fullmatch(name):
        raise DataError(f"{HUB}{name}: expected {HUB}OWNER/NAME, got {name!r}; name the owner and the repository")


def see_fault(endpoint: str) -> str:
    """Knock at a hub, once, and say why it does not answer; "" if it does. Later calls would try for half a minute."""
    utils = require("huggingface_hub.utils", "hub", "a model hub")
    try:
        utils.get_session().head(endpoint, timeout=SECONDS)
    except failures() as error:
        return f"{endpoint} does not answer ({first_line(error)}); check the network"
    return ""


def tell_error(error: BaseException) -> str:
    """Say what a hub answered, and what to do."""
    known = [MEANINGS[each.__name__] for each in type(error).__mro__ if each.__name__ in MEANINGS]
    return known[0] if known else f"{first_line(error)}; check the name and the network, or give a file"


@contextmanager
def quiet() -> Iterator[None]:
    """Keep huggingface_hub from printing each of its tries."""
    logging = require("huggingface_hub.utils.logging", "hub", "a model hub")
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)


def failures() -> tuple[type[BaseException], ...]:
    """Return what huggingface_hub raises: its transport's errors among them, whichever transport it uses."""
    errors = require("huggingface_hub.errors", "hub", "a model hub")
    return (ValueError, *errors.HfHubHTTPError.__bases__)
