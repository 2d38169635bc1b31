"""The web configuration file: TLS and users of the HTTP surface, in the format of Prometheus' exporter-toolkit.

It is read again when it, or a certificate it names, changes on disk; a broken change keeps what was before and is
logged once. TLS settings apply to the next connection, users to the next request.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import logging
import re
import secrets
import ssl
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import bcrypt
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from exporter.base import strict_yaml
from exporter.server.listen import is_loopback
from exporter.server.turns import Busy, Turns

__all__ = ["Busy", "Gate", "load"]

log = logging.getLogger(__name__)

MIN_VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
BCRYPT = re.compile(r"\$2[aby]\$(0[4-9]|1[0-6])\$[./A-Za-z0-9]{53}")  # cost 17 and more: a minute of work per guess
LONGEST_PASSWORD = 72  # bytes; bcrypt has never looked at more, its Python library now refuses more
# What other programs with such a file understand: right names, but not for here.
ELSEWHERE = {"http_server_config", "rate_limit", "cert", "key", "client_ca", "client_allowed_sans", "cipher_suites"}
ELSEWHERE |= {"curve_preferences", "max_version", "prefer_server_cipher_suites"}
REMEMBERED = 128
MOST_WAITING = 512  # as many as there are connections: one who waits for an answer is not turned away
WITHOUT_USERS = "configure basic_auth_users in the file of --web.config.file, or run the command explain"

Stamps = Mapping[Path, tuple[int, int, int] | None]
"""What tells that files have changed: inode, size and time of change of each, None where there is none."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class TlsServerConfig(_Section):
    """Paths are relative to the file."""

    cert_file: str
    key_file: str
    client_auth_type: Literal["NoClientCert", "RequireAndVerifyClientCert"] = "NoClientCert"
    client_ca_file: str | None = None
    min_version: Literal["TLS12", "TLS13"] = "TLS12"

    @model_validator(mode="after")
    def _client_certificates(self) -> "TlsServerConfig":
        if (self.client_auth_type == "RequireAndVerifyClientCert") != (self.client_ca_file is not None):
            raise ValueError(
                "client_auth_type: RequireAndVerifyClientCert and client_ca_file need each other; give both"
            )
        return self


class WebFile(_Section):
    """The whole file."""

    tls_server_config: TlsServerConfig | None = None
    basic_auth_users: dict[str, str] = {}

    @field_validator("basic_auth_users")
    @classmethod
    def _hashed(cls, users: dict[str, str]) -> dict[str, str]:
        for user, hashed in users.items():
            if not user or ":" in user:
                raise ValueError("a user name must not be empty and must not contain a colon")
            if not BCRYPT.fullmatch(hashed):
                raise ValueError(f"the password of {user!r} is not a bcrypt hash of cost 4 to 16, as htpasswd -B makes")
        return users


@dataclass(frozen=True, slots=True)
class Web:
    """One state of the file, ready for use."""

    context: ssl.SSLContext | None
    users: Mapping[str, bytes]


def load(path: Path) -> Web:
    """The file, or strict.Mistakes with everything that is wrong in it."""
    document = strict_yaml.load(path)
    try:
        file = WebFile.model_validate({} if document.data is None else document.data)
    except ValidationError as error:
        raise strict_yaml.Mistakes(_mistake(document, each) for each in error.errors(include_url=False)) from None
    context = None if file.tls_server_config is None else _context(file.tls_server_config, document, path.parent)
    return Web(context, {user: hashed.encode() for user, hashed in file.basic_auth_users.items()})


def _mistake(document: strict_yaml.Document, error: ErrorDetails) -> strict_yaml.Mistake:
    at = error["loc"]
    if error["type"] == "extra_forbidden":
        known = TlsServerConfig.model_fields if len(at) > 1 else WebFile.model_fields
        advice = (
            f"known: {', '.join(sorted(known))}" if at[-1] in ELSEWHERE else strict_yaml.did_you_mean(at[-1], known)
        )
        return document.mistake(at, f"not supported here; {advice}")
    return document.mistake(at, error["msg"].removeprefix("Value error, "))


def _context(tls: TlsServerConfig, document: strict_yaml.Document, folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = MIN_VERSIONS[tls.min_version]
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])

    def use(key: str, load_it: Callable[[], object]) -> None:
        try:
            load_it()
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            reason = error.strerror or error.__class__.__name__ if isinstance(error, OSError) else str(error)
            raise strict_yaml.Mistakes(
                [document.mistake(("tls_server_config", key), f"cannot be used: {reason}")]
            ) from None

    cert, key = folder / tls.cert_file, folder / tls.key_file
    use("cert_file", cert.read_bytes)
    use("key_file", key.read_bytes)
    # Without `password` OpenSSL would ask on the terminal for the passphrase of an encrypted key, and wait.
    use("cert_file", lambda: context.load_cert_chain(cert, key, password=lambda: ""))
    if tls.client_ca_file is not None:
        ca_file = folder / tls.client_ca_file
        use("client_ca_file", lambda: context.load_verify_locations(ca_file))
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def stamps(path: Path) -> Stamps:
    """The state on disk of the file, and of every file it names, as far as it can be read."""
    data: Any = None
    with suppress(strict_yaml.Mistakes):
        data = strict_yaml.read_yaml(path)[0].data
    tls = data.get("tls_server_config") if isinstance(data, dict) else None
    named = [value for key, value in tls.items() if key.endswith("_file")] if isinstance(tls, dict) else []
    return _stamped([path, *(path.parent / name for name in named if isinstance(name, str))])


def _stamped(paths: list[Path]) -> Stamps:
    found: dict[Path, tuple[int, int, int] | None] = dict.fromkeys(paths)
    for path in paths:
        with suppress(OSError, ValueError):
            stat = path.stat()
            found[path] = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
    return found


class _Renewed(ssl.SSLContext):
    """Hands every new connection on to the context of the moment."""

    current: Callable[[], ssl.SSLContext]

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        return self.current().wrap_bio(*args, **kwargs)


class Gate:
    """Who may come in. Without a file everybody may, unencrypted. Raises strict.Mistakes for a file that is wrong."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._stamps: Stamps = {} if path is None else stamps(path)
        self._web = Web(None, {}) if path is None else load(path)
        self._key = secrets.token_bytes(32)
        self._known: dict[bool, OrderedDict[bytes, None]] = {True: OrderedDict(), False: OrderedDict()}
        self._turns = Turns(MOST_WAITING)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="password")

    def close(self) -> None:
        """End the thread; a check under way is not waited for."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    @property
    def context(self) -> ssl.SSLContext | None:
        """The TLS side, None without TLS. It stays right when the file changes."""
        if self._web.context is None:
            return None
        renewed = _Renewed(ssl.PROTOCOL_TLS_SERVER)
        renewed.current = self._current_context
        return renewed

    def _current_context(self) -> ssl.SSLContext:
        self.refresh()
        assert self._web.context is not None  # noqa: S101 - refresh never lets TLS be switched off
        return self._web.context

    def keeps_records(self, address: str, host: str, *, passed_on: bool) -> str | None:
        """Why single records are not shown on an address of ours, asked for by a name; None where they are.

        `passed_on`: a proxy may have sent the request, and anybody may have sent it to the proxy.
        """
        context = self._web.context
        if self._web.users or (context is not None and context.verify_mode == ssl.CERT_REQUIRED):
            return None  # whoever came in has proved who they are
        if not is_loopback(address):
            return f"records are shown only to users with a password or on a loopback address: {WITHOUT_USERS}"
        if passed_on:
            return f"behind a proxy, records are shown only to users with a password: {WITHOUT_USERS}"
        # A foreign web site could make a browser ask, under a name of its own for this address.
        if not is_loopback(host):
            return "without passwords, records are shown only under a loopback name, such as http://localhost"
        return None

    def refresh(self) -> None:
        """Read the file again where something has changed."""
        if self._path is None or _stamped(list(self._stamps)) == self._stamps:
            return
        self._stamps = stamps(self._path)
        try:
            web = load(self._path)
            if (web.context is None) != (self._web.context is None):
                raise strict_yaml.Mistakes(
                    [strict_yaml.Mistake(str(self._path), 0, "", "turning TLS on or off needs a restart")]
                )
        except strict_yaml.Mistakes as mistakes:
            log.error("the changed web config is not used; the previous one stays: %s", mistakes)
            return
        self._web = web
        log.info("web config read again")

    async def allows(self, authorization: str, who: str = "", gone: Callable[[], bool] = bool) -> bool:
        """Whether a request with this Authorization header may pass; Busy where too many wait for an answer.

        `who` asks: each address has its turn. `gone` tells whether the asker has hung up meanwhile.
        """
        self.refresh()
        users = self._web.users
        if not users:
            return True
        given = credentials(authorization)
        if given is None:
            return False
        user, password = given
        # An unknown user costs what the dearest known one costs: no name can be told from the time of an answer.
        hashed = users.get(user, b"$2b$" + max(known[4:6] for known in users.values()) + b"$" + b"." * 53)
        secret = hmac.digest(self._key, b"\0".join((user.encode(), hashed, password)), hashlib.sha256)
        if (verdict := self._remembered(secret)) is None:
            # One at a time, away from the event loop: a flood of guesses takes one thread, and no scrape waits for it.
            async with self._turns.turn(who, gone):
                verdict = self._remembered(secret)
                if verdict is None:
                    verdict = await self._check(secret, password, hashed, known=user in users)
        return verdict

    def _remembered(self, secret: bytes) -> bool | None:
        for verdict, known in self._known.items():
            if secret in known:
                known.move_to_end(secret)
                return verdict
        return None

    async def _check(self, secret: bytes, password: bytes, hashed: bytes, *, known: bool) -> bool:
        """The verdict, remembered: also for one who hung up and will ask again."""
        loop = asyncio.get_running_loop()
        verdict = await loop.run_in_executor(self._thread, _matches, password, hashed) and known
        self._known[verdict][secret] = None
        if len(self._known[verdict]) > REMEMBERED:
            self._known[verdict].popitem(last=False)
        return verdict


def credentials(authorization: str) -> tuple[str, bytes] | None:
    """User and password of a Basic header; None for any other."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
        return (user.decode(), password) if colon else None
    except (binascii.Error, ValueError):
        return None


def _matches(password: bytes, hashed: bytes) -> bool:
    try:
        return bcrypt.checkpw(password[:LONGEST_PASSWORD], hashed)
    except ValueError:  # a NUL in the password
        return False
