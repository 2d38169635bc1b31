"""Secrets: named in the config by file or environment variable, never written there and never printed."""

import re
from collections.abc import Mapping
from pathlib import Path

REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
LARGEST = 64 * 1024


class SecretError(ValueError):
    """Why there is no secret, and what would be right; never with the secret itself."""


class Secret:
    """A text that prints as ***."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself, for whom it is sent to."""
        return self._text

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other.reveal() == self._text

    def __hash__(self) -> int:
        return hash(self._text)


def from_environment(text: str, environ: Mapping[str, str], *, lines: bool = False) -> Secret:
    """The secret that `${NAME}` stands for; of several lines only where such are meant."""
    match = REFERENCE.fullmatch(text.strip())
    if not match:
        raise SecretError("do not write a secret here; name a file that contains it, or a variable like ${NAME}")
    value = environ.get(match[1], "").strip()
    if not value:
        raise SecretError(f"the environment variable {match[1]} is not set")
    return Secret(value) if lines and len(value) <= LARGEST else _line(value, f"the environment variable {match[1]}")


def from_file(path: Path, *, lines: bool = False) -> Secret:
    """The single line that a file holds, or all of its lines where a secret has several, as a key in PEM."""
    try:
        with path.open("rb") as opened:
            content = opened.read(LARGEST + 1)
        text = content.decode().strip()
    except UnicodeDecodeError:
        raise SecretError(f"{path} is not text") from None
    except OSError as error:
        raise SecretError(f"{path} cannot be read: {error.strerror}") from None
    if not text:
        raise SecretError(f"{path} is empty; write the secret into it")
    return Secret(text) if lines and len(text) <= LARGEST else _line(text, str(path))


def loose(path: Path) -> bool:
    """Whether everybody on this machine may read the file."""
    return bool(path.stat().st_mode & 0o004)


def _line(text: str, where: str) -> Secret:
    if len(text) > LARGEST or not text.isprintable():
        raise SecretError(f"{where} contains more than one line of text; a secret is one line")
    return Secret(text)
