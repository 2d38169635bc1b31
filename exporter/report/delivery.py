"""Sends a report: by mail, or to a webhook. In a thread; a failure says what was wrong, never a password."""

import smtplib
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from functools import partial
from http.client import HTTPException
from urllib.parse import urlsplit

from exporter.config.reports import Mail, Scheduled, Webhook

SECONDS = 30.0
TYPES = {"html": "text/html", "md": "text/markdown", "csv": "text/csv", "pdf": "application/pdf"}


class DeliveryError(Exception):
    """A report was not taken; the text says where and why."""


@dataclass(frozen=True, kw_only=True)
class Letter:
    """A report to be sent. `id`: the same whenever it is sent again, so that who has it knows it."""

    id: str
    title: str
    file_name: str
    form: str
    content: bytes


def deliveries(report: Scheduled) -> dict[str, Callable[[Letter], None]]:
    """Whom a report goes to: each of them on its own, so that nobody gets it again because another did not.

    A delivery raises DeliveryError.
    """
    found: dict[str, Callable[[Letter], None]] = {}
    if report.mail:
        found |= {address: partial(send, report.mail, address) for address in report.mail.to}
    return found | ({"webhook": partial(post, report.webhook)} if report.webhook else {})


def send(mail: Mail, address: str, letter: Letter) -> None:
    """By SMTP, to one of its addresses. Raises DeliveryError."""
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = letter.title, mail.sender, ", ".join(mail.to)
    message["Message-ID"] = f"<{letter.id}@outcome-exporter>"
    message.set_content(f"{letter.title}: see the attachment.\n")
    main, sub = TYPES[letter.form].split("/")
    message.add_attachment(letter.content, maintype=main, subtype=sub, filename=letter.file_name)
    try:
        with _connected(mail) as server:
            if mail.user and mail.password:
                server.login(mail.user, mail.password.reveal())
            server.send_message(message, mail.sender, [address])
    except (OSError, smtplib.SMTPException) as error:
        raise DeliveryError(f"mail by {mail.host}:{mail.port}: {_reason(error)}") from None


@contextmanager
def _connected(mail: Mail) -> Iterator[smtplib.SMTP]:
    trusted = ssl.create_default_context()
    if mail.security == "tls":
        with smtplib.SMTP_SSL(mail.host, mail.port, timeout=SECONDS, context=trusted) as server:
            yield server
        return
    with smtplib.SMTP(mail.host, mail.port, timeout=SECONDS) as server:
        if mail.security == "starttls":
            server.starttls(context=trusted)
        yield server


def _reason(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return "; ".join(f"it refuses {to}: {_answer(*why)}" for to, why in sorted(error.recipients.items()))
    if isinstance(error, smtplib.SMTPResponseException):
        return f"it answers {_answer(error.smtp_code, error.smtp_error)}"
    return str(error) or type(error).__name__


def _answer(code: int, said: bytes | str) -> str:
    return f"{code} {said.decode(errors='replace') if isinstance(said, bytes) else said}"


class _Straight(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: what is posted goes where the config says."""

    def redirect_request(self, *_: object) -> None:
        """No other request: the redirect is the answer, and so an error."""


def post(webhook: Webhook, letter: Letter) -> None:
    """By HTTP POST, the report as the body. Raises DeliveryError where the answer is not 2xx."""
    # The path of an incoming webhook is its password.
    kind, where = TYPES[letter.form], urlsplit(webhook.url).hostname
    headers = {
        "Content-Type": kind if letter.form == "pdf" else f"{kind}; charset=utf-8",
        "Content-Disposition": f'attachment; filename="{letter.file_name}"',
        "Idempotency-Key": letter.id,
    }
    if webhook.token:
        headers["Authorization"] = f"Bearer {webhook.token.reveal()}"
    request = urllib.request.Request(webhook.url, letter.content, headers, method="POST")  # noqa: S310 - only http(s) is configured
    try:
        with urllib.request.build_opener(_Straight).open(request, timeout=SECONDS) as answer:
            answer.read(1024)
    except urllib.error.HTTPError as error:
        raise DeliveryError(f"webhook of {where}: it answers {error.code} {error.reason}") from None
    except (OSError, HTTPException) as error:
        raise DeliveryError(f"webhook of {where}: {getattr(error, 'reason', None) or error}") from None
