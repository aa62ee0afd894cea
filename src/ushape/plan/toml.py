"""TOML, with errors that name the file."""

from __future__ import annotations

import tomllib
from typing import Any

from ushape.core.errors import ConfigError


def parse_toml(text: str, where: str) -> dict[str, Any]:
    """Read TOML, with the file named in the error."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{where}: not valid TOML ({error}); correct that line") from None
