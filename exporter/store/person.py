"""Names of people in the store: a hash, under a key that is kept outside of it."""

import glob
import hashlib
import hmac
import os
import secrets
from pathlib import Path
from urllib.parse import unquote

from exporter.store.fault import CannotWrite, StoreError

SHORTEST_KEY = 32
"""The shortest key: who has the store must not find it by trying."""


class KeyMissing(StoreError):  # noqa: N818 - named by what is wrong
    remedy = (
        "restore that file from a backup: under another key everybody would be counted as somebody new;"
        " or move the store away and let everything be read anew"
    )


class OtherKey(StoreError):  # noqa: N818 - named by what is wrong
    remedy = (
        "give it the key it was made with, or everybody would be counted as somebody new;"
        " or move the store away and let everything be read anew"
    )


def beside(store: Path) -> Path:
    """Where the key of a store lies when the config names no place."""
    return store.with_name(f"{store.name}.person-key")


def current_key(store: Path, configured: str | None) -> str | None:
    """The key that the config gives, or that lies beside the store; None where there is none yet."""
    path = beside(store)
    if configured is None and not path.exists():
        return None
    try:
        key = path.read_text().strip() if configured is None else configured
    except (OSError, UnicodeDecodeError):
        raise CannotWrite(store, f"its person key cannot be read from {path}") from None
    if len(key) < SHORTEST_KEY:
        where = f"in {path}" if configured is None else "of store.person_key"
        raise OtherKey(store, f"the person key {where} has fewer than {SHORTEST_KEY} characters")
    return key


def new_key() -> str:
    """A new key."""
    return secrets.token_hex(32)


def keep(store: Path, key: str) -> str:
    """Writes a key beside the store, for its owner only; returns the key that is there then."""
    path = beside(store)
    draft = path.with_name(f"{path.name}.new-{os.getpid()}")
    draft.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
            opened.write(f"{key}\n")
            opened.flush()
            os.fsync(opened.fileno())
        if not path.exists():
            draft.rename(path)
    except OSError as error:
        raise CannotWrite(store, f"its person key cannot be written to {path}: {error.strerror}") from None
    finally:
        draft.unlink(missing_ok=True)
    return current_key(store, None) or key


def clear(store: Path) -> None:
    """Removes what writing a key has left when it was killed."""
    for draft in store.parent.glob(f"{glob.escape(beside(store).name)}.new-*"):
        draft.unlink(missing_ok=True)


def normal(name: str) -> str:
    """A mail address is one person however it is written; other ids may tell A from a."""
    name = name.strip()
    return name.lower() if "@" in name else name


def is_address(text: object) -> bool:
    """Whether a text is a mail address."""
    if type(text) is not str or text.count("@") != 1:
        return False
    before, after = text.strip().split("@")
    return bool(before and after) and not any(sign.isspace() for sign in text.strip())


def without_address(url: str | None, address: str) -> str | None:
    """A link, unless it tells the address that is hashed beside it."""
    return None if url and normal(address) in normal(unquote(url)).lower() else url


def hashed(key: str, name: str) -> str:
    """A name for a person that cannot be turned back without the key."""
    return hmac.new(_bytes(key), name.encode(), hashlib.sha256).hexdigest()[:16]


def fingerprint(key: str) -> str:
    """What tells one key from another, and nothing else about it."""
    return hmac.new(_bytes(key), b"fingerprint of a person key", hashlib.sha256).hexdigest()


def _bytes(key: str) -> bytes:
    try:
        return bytes.fromhex(key)
    except ValueError:
        return key.encode()
