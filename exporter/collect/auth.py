"""Authentication as configured: one constant header (`Auth`), or a way to get tokens (`Grant`).

Pure: a grant builds the request for a token and interprets the answer. collect/credential.py sends it.
"""

import base64
import binascii
import re
import secrets
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import ClassVar, Literal
from urllib.parse import quote_plus, urlsplit

import msgspec

from exporter.base import errors
from exporter.base.errors import AuthFailed, NotUnderstood
from exporter.collect.answer import WELL, Answer
from exporter.collect.token_file import Kept, TokenFile
from exporter.records import Json, instant

EARLY = timedelta(seconds=60)  # before it ends a token is renewed, or in its last tenth where it is short-lived
JWT_LIFE = timedelta(minutes=9)  # GitHub takes ten minutes at most
JWT_BACK = timedelta(seconds=60)  # their clock may be behind
TOKEN_IN = ("access_token", "token", "result")
WORD = re.compile(r"[a-z_]{3,40}")
ERRORS = {
    "invalid_client": "the client is not known there, or its secret or key is wrong; check client_id and its secret",
    "unauthorized_client": "the client may not get tokens in this way; allow it there",
    "unsupported_grant_type": "this method is not known there; check method and token_url",
    "invalid_scope": "a scope is not known there, or this client may not have it; check scope",
    "access_denied": "the client may not get tokens; allow it there",
}
"""The words of RFC 6749 and what would be right. `error_description` is never shown: it may quote what was sent."""


@dataclass(frozen=True, slots=True)
class Auth:
    """One request header that proves who asks; made by the functions below, absent by default."""

    header: str = ""
    value: str = field(default="", repr=False)

    @staticmethod
    def bearer(token: str) -> "Auth":
        return Auth("Authorization", f"Bearer {token}")

    @staticmethod
    def basic(user: str, password: str) -> "Auth":
        return Auth("Authorization", "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode())

    @property
    def headers(self) -> dict[str, str]:
        """What a request is sent with."""
        return {self.header: self.value} if self.header else {}


@dataclass(frozen=True, kw_only=True, slots=True)
class Scheme:
    """How a platform wants credentials: AUTH of a connector. Each form holds {} where the secret goes."""

    api_key: tuple[str, str] = ("Authorization", "Bearer {}")  # header and form
    token: tuple[str, str] = ("Authorization", "Bearer {}")
    token_url: str = ""  # where tokens are had: a whole address, or a path below the source's url
    body: Literal["form", "json"] = "form"  # how a token is asked for
    client_in: Literal["body", "header"] = "body"  # where client_id and client_secret stand
    login: tuple[str, str] = ("username", "password")  # what a log-in calls them

    def fixed(self, kind: Literal["api_key", "token"], secret: str, header: str | None = None) -> Auth:
        """A secret that is sent as it is; in a header of its own where one is named."""
        name, form = self.api_key if kind == "api_key" else self.token
        return Auth(header, secret) if header else Auth(name, form.format(secret))


NOBODY = Auth()
BEARER = Scheme()


@dataclass(frozen=True, slots=True)
class Token:
    """An access token, until when it holds (None: unknown), and what the next one is had with."""

    value: str = field(repr=False)
    begins_at: datetime
    expires_at: datetime | None = None
    refresh: str = field(default="", repr=False)

    def due(self, now: datetime) -> bool:
        """Whether it is time to renew it."""
        if self.expires_at is None:
            return False
        return now >= self.expires_at - min(EARLY, max(timedelta(), self.expires_at - self.begins_at) / 10)

    def over(self, now: datetime) -> bool:
        """Whether it no longer holds."""
        return self.expires_at is not None and now >= self.expires_at


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenRequest:
    """A request for a token; always a POST."""

    url: str = field(repr=False)
    body: Mapping[str, str] = field(default_factory=dict, repr=False)
    form: bool = True  # else JSON
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def where(self) -> str:
        """The address in words, without what may be secret in it."""
        parts = urlsplit(self.url)
        return f"POST {parts.hostname}{parts.path}"


Ask = Callable[[TokenRequest], Awaitable[Answer]]
"""Sends one. Raises Unavailable where there is no answer."""


@dataclass(frozen=True, kw_only=True)
class Grant(ABC):
    """How tokens are had. `NAME` is what the config calls it."""

    NAME: ClassVar[str]

    url: str = field(repr=False)
    scheme: Scheme = BEARER
    parameters: tuple[tuple[str, str], ...] = ()  # sent beside the others

    @abstractmethod
    def question(self, now: datetime, refresh: str) -> TokenRequest:
        """What to ask for a token with. `refresh`: the newest refresh token, where there is one."""

    @property
    def kept(self) -> TokenFile | None:
        """Where refresh tokens are kept that change with each use."""
        return None

    def refused(self, _kept: Kept) -> str:
        """What `invalid_grant` means, and what would be right."""
        return "what was sent is not accepted, or no longer; check the credentials"

    def header(self, token: "Token") -> Auth:
        """The header that a token is sent in."""
        return self.scheme.fixed("token", token.value)


@dataclass(frozen=True, kw_only=True)
class ClientCredentials(Grant):
    """An OAuth 2.0 client in its own name (RFC 6749, 4.4), with a secret or with a key that signs (RFC 7523)."""

    NAME = "client_credentials"

    client_id: str
    secret: str = field(default="", repr=False)
    key: str = field(default="", repr=False)  # PEM

    def question(self, now: datetime, refresh: str) -> TokenRequest:  # noqa: ARG002 - there are none
        return self.asked({"grant_type": "client_credentials"}, now)

    def asked(self, said: Mapping[str, str], now: datetime) -> TokenRequest:
        """A question of a client, which proves who it is in the way that the platform wants."""
        body, headers = {**said, **dict(self.parameters)}, dict[str, str]()
        if self.key:
            claims = {"iss": self.client_id, "sub": self.client_id, "aud": self.url, "jti": secrets.token_hex(16)}
            kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
            assertion = signed(claims, self.key, now)
            body |= {"client_id": self.client_id, "client_assertion_type": kind, "client_assertion": assertion}
        elif self.scheme.client_in == "header":
            # RFC 6749, 2.3.1: each is encoded as in a form before they are joined.
            headers = Auth.basic(quote_plus(self.client_id), quote_plus(self.secret)).headers
        else:
            body |= {"client_id": self.client_id} | ({"client_secret": self.secret} if self.secret else {})
        return TokenRequest(url=self.url, body=body, form=self.scheme.body == "form", headers=headers)


@dataclass(frozen=True, kw_only=True)
class RefreshToken(ClientCredentials):
    """An OAuth 2.0 client in the name of a user (RFC 6749, 6). Where a refresh token changes, the newest is kept."""

    NAME = "refresh_token"

    first: str = field(repr=False)  # the refresh token that the config names
    named: str  # where it names it
    file: Path

    def question(self, now: datetime, refresh: str) -> TokenRequest:
        return self.asked({"grant_type": "refresh_token", "refresh_token": refresh or self.first}, now)

    @property
    def kept(self) -> TokenFile:
        return TokenFile(self.file)

    def refused(self, kept: Kept) -> str:
        text = "the refresh token is not accepted: it has been used before, has been revoked or has expired"
        if kept.asking:
            text = "the exporter was killed while it exchanged the refresh token, and the old one is no longer accepted"
        return f"{text}; authorize the client again, write the new refresh token to {self.named} and reload the config"


@dataclass(frozen=True, kw_only=True)
class Login(Grant):
    """A log-in with user and password, which answers with a token."""

    NAME = "login"

    username: str
    password: str = field(repr=False)

    def question(self, now: datetime, refresh: str) -> TokenRequest:  # noqa: ARG002 - there are none
        user, password = self.scheme.login
        return TokenRequest(
            url=self.url, body={**dict(self.parameters), user: self.username, password: self.password}, form=False
        )


@dataclass(frozen=True, kw_only=True)
class App(Grant):
    """An app that signs who it is and gets a token of one installation, as a GitHub App does."""

    NAME = "app"

    app_id: str
    key: str = field(repr=False)  # PEM

    def question(self, now: datetime, refresh: str) -> TokenRequest:  # noqa: ARG002 - there are none
        proof = Auth.bearer(signed({"iss": self.app_id}, self.key, now))
        return TokenRequest(url=self.url, body=dict(self.parameters), form=False, headers=proof.headers)


def signed(claims: Mapping[str, str], key: str, now: datetime) -> str:
    """The claims as a JWT that holds from now on for a few minutes, RS256. Raises AuthFailed where the key is none."""
    import jwt  # noqa: PLC0415 - few need it, and it takes long to load

    try:
        return jwt.encode({**claims, "iat": now - JWT_BACK, "exp": now + JWT_LIFE}, key, algorithm="RS256")
    except (jwt.PyJWTError, ValueError, TypeError):  # without the cause: it may quote the key
        raise AuthFailed(
            "the private key cannot be used; give an RSA key in PEM format, without a passphrase"
        ) from None


def token_of(grant: Grant, answer: Answer, stored: Kept) -> Token:
    """The token in an answer, or the error it deserves. `kept`: what it was asked for with."""
    body = answer.body if isinstance(answer.body, dict) else {}
    value = next((body[name] for name in TOKEN_IN if isinstance(body.get(name), str) and body[name]), None)
    if answer.status in WELL and value is not None:
        renewed = body.get("refresh_token")
        refresh = renewed if isinstance(renewed, str) and renewed else stored.refresh  # else the old one is good again
        return Token(value, answer.at, expiry(body, value, answer.at), refresh)
    word = str(body.get("error"))
    word = word if WORD.fullmatch(word) else ""
    text = f"{answer.where}: HTTP {answer.status}" + (f", {word}" if word else "")
    if answer.status == 429:
        raise answer.rate_limited()
    if word == "invalid_grant":
        raise AuthFailed(f"{text}: {grant.refused(stored)}")
    if word in ERRORS:
        raise AuthFailed(f"{text}: {ERRORS[word]}")
    if answer.status in (400, 401, 403) or word:
        raise AuthFailed(f"{text}: no token by {grant.NAME}; are the credentials and token_url right?")
    if answer.status in WELL:
        raise NotUnderstood(f"{text}: there is no token in the answer; is this the address for tokens?")
    if answer.status in (404, 410):
        raise AuthFailed(f"{text}: nothing is there; is token_url right?")
    raise errors.refusal(answer.status, text, errors.retry_after(answer.headers, answer.at))


def expiry(body: Mapping[str, Json], value: str, now: datetime) -> datetime | None:
    """Until when a token holds, by our clock, as far as the answer or the token itself tells."""
    try:
        if body.get("expires_in") is not None:
            return now + timedelta(seconds=max(0.0, float(body["expires_in"])))
        if body.get("expires_at") is not None:
            return instant(body["expires_at"])
        claims = msgspec.json.decode(base64.urlsafe_b64decode(value.split(".")[1] + "=="))
        life = timedelta(seconds=float(claims["exp"]) - float(claims["iat"]))
        return now + life
    except (ValueError, TypeError, KeyError, IndexError, OverflowError, binascii.Error):
        return None  # then it is renewed when it is refused
