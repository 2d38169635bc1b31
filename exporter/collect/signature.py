"""How senders prove who they are: a bearer token, or a signature (HMAC with SHA-256) over the bytes of the body.

One table of forms, named after those who use them. Nothing of a body is read before its signature is right.
"""

import binascii
import hmac
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from exporter.collect.delivery import Refused

SchemeName = Literal["bearer", "github", "standard-webhooks", "pagerduty", "calendly", "calcom", "zendesk", "slack"]
BEARER: SchemeName = "bearer"
WINDOW = timedelta(minutes=5)
"""How far a signed time may be from now, where the form says when it was signed."""
MOST_SIGNATURES = 10
"""Of one delivery that are looked at: a sender that changes its secret sends two."""
OLD_NAMES = {"webhook-id": "svix-id", "webhook-timestamp": "svix-timestamp", "webhook-signature": "svix-signature"}


@dataclass(frozen=True, slots=True)
class Form:
    """A form of signature. The signed text is `prefix`, with {id} and {time} filled in, and then the body.

    `header`: where the signatures are, `parted` by a sign if there may be several, each behind `mark`. `time`: the
    header with the time of signing, or the mark that it has among the signatures.
    """

    header: str
    mark: str = ""
    parted: str = ""
    prefix: str = ""
    time: str = ""
    id: str = ""
    base64: bool = False
    window: timedelta | None = None


FORMS: Mapping[str, Form] = {
    "github": Form("x-hub-signature-256", mark="sha256="),
    "standard-webhooks": Form(
        "webhook-signature", mark="v1,", parted=" ", prefix="{id}.{time}.", time="webhook-timestamp", id="webhook-id",
        base64=True, window=WINDOW,
    ),
    "pagerduty": Form("x-pagerduty-signature", mark="v1=", parted=","),
    "calendly": Form("calendly-webhook-signature", mark="v1=", parted=",", prefix="{time}.", time="t=", window=WINDOW),
    "calcom": Form("x-cal-signature-256"),
    "zendesk": Form(
        "x-zendesk-webhook-signature", prefix="{time}", time="x-zendesk-webhook-signature-timestamp", base64=True
    ),
    "slack": Form(
        "x-slack-signature", mark="v0=", prefix="v0:{time}:", time="x-slack-request-timestamp", window=WINDOW
    ),
}  # fmt: skip
"""Name -> form. Standard Webhooks is also what Svix sends."""


@dataclass(frozen=True, slots=True)
class Door:
    """What a source demands of its senders. Several secrets hold at once while one replaces another."""

    scheme: SchemeName
    secrets: tuple[str, ...]
    most_bytes: int

    def __repr__(self) -> str:
        return f"Door({self.scheme})"

    @property
    def headers_signed(self) -> bool:
        """Whether a right credential is one for the headers, too."""
        return self.scheme == BEARER

    def check_headers(self, headers: Mapping[str, str]) -> None:
        """Raises Refused where the headers alone tell that the sender cannot come in."""
        if self.scheme == BEARER:
            kind, _, token = headers.get("authorization", "").partition(" ")
            if kind.lower() != "bearer":
                raise Refused(401, "no_credential", "the header Authorization: Bearer ... is missing")
            if not self._one_is(_sent(token.strip()), [secret.encode() for secret in self.secrets]):
                raise Refused(401, "wrong_credential", "the token is wrong")
        elif not _header(headers, FORMS[self.scheme].header):
            raise Refused(401, "no_credential", f"the header {FORMS[self.scheme].header} is missing")

    def check_body(self, headers: Mapping[str, str], body: bytes, at: datetime) -> None:
        """Raises Refused where the body is not signed by one of the secrets, or was long ago."""
        if self.scheme == BEARER:
            return
        form = FORMS[self.scheme]
        given = _header(headers, form.header)
        parts = [part.strip() for part in (given.split(form.parted) if form.parted else [given])][:MOST_SIGNATURES]
        time = _time(form, headers, parts)
        signed = _sent(form.prefix.format(id=_header(headers, form.id), time=time)) + body
        right = [_signature(form, key_of(self.scheme, secret), signed) for secret in self.secrets]
        signatures = [_sent(part.removeprefix(form.mark)) for part in parts if part.startswith(form.mark)]
        if not any([self._one_is(each, right) for each in signatures]):  # noqa: C419 - all, however early one is right
            raise Refused(401, "wrong_credential", "the signature is wrong")
        if form.window and not _recent(time, at, form.window):
            raise Refused(401, "too_old", "signed too long ago, or the sender's clock is wrong")

    @staticmethod
    def _one_is(given: bytes, right: Sequence[bytes]) -> bool:
        return any([hmac.compare_digest(given, each) for each in right])  # noqa: C419 - in the same time for each


def key_of(scheme: str, secret: str) -> bytes:
    """The key that a secret stands for. Raises ValueError where it cannot be one of this scheme."""
    if scheme != "standard-webhooks":
        return secret.encode()
    try:
        return b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("this is not a secret of Standard Webhooks: whsec_ and then base64") from None


def _signature(form: Form, key: bytes, signed: bytes) -> bytes:
    digest = hmac.digest(key, signed, "sha256")
    return b64encode(digest) if form.base64 else digest.hex().encode()


def _sent(text: str) -> bytes:
    """The bytes of a header, which may be no UTF-8."""
    return text.encode(errors="surrogateescape")


def _header(headers: Mapping[str, str], name: str) -> str:
    return headers.get(name) or headers.get(OLD_NAMES.get(name, ""), "")


def _time(form: Form, headers: Mapping[str, str], parts: Sequence[str]) -> str:
    if form.time.endswith("="):
        return next((part.removeprefix(form.time) for part in parts if part.startswith(form.time)), "")
    return _header(headers, form.time)


def _recent(time: str, at: datetime, window: timedelta) -> bool:
    """Whether a time, in seconds since 1970, is near."""
    if not (time.isascii() and time.isdecimal() and len(time) < 12):
        return False
    return abs(at.timestamp() - int(time)) <= window.total_seconds()
