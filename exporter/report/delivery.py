"""Sends a report: by mail, or to a webhook. In a thread; a failure says what was wrong, never a password."""

import smtplib
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from http.client import HTTPException

from exporter.config.reports import Mail, Scheduled, Webhook

SECONDS = 30.0
TYPES = {"html": "text/html", "md": "text/markdown", "csv": "text/csv", "pdf": "application/pdf"}


class NotDelivered(Exception):  # noqa: N818 - an answer
    """A report was not taken; the text says where and why."""


@dataclass(frozen=True, kw_only=True)
class Letter:
    """A report to be sent. `id`: the same whenever it is sent again, so that who has it knows it."""

    id: str
    title: str
    file_name: str
    form: str
    content: bytes


def deliver(report: Scheduled, letter: Letter) -> None:
    """Sends it to everybody who is configured. Raises NotDelivered."""
    if report.mail:
        send(report.mail, letter)
    if report.webhook:
        post(report.webhook, letter)


def send(mail: Mail, letter: Letter) -> None:
    """By SMTP. Raises NotDelivered, also where the server refuses one of several addresses."""
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
            refused = server.send_message(message, mail.sender, list(mail.to))
    except (OSError, smtplib.SMTPException) as error:
        raise NotDelivered(f"mail by {mail.host}:{mail.port}: {_reason(error)}") from None
    if refused:
        raise NotDelivered(f"mail by {mail.host}:{mail.port}: it refuses {', '.join(sorted(refused))}")


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
        return f"it refuses {', '.join(sorted(error.recipients))}"
    if isinstance(error, smtplib.SMTPResponseException):
        said = error.smtp_error
        return f"it answers {error.smtp_code} {said.decode(errors='replace') if isinstance(said, bytes) else said}"
    return str(error) or type(error).__name__


class _Straight(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: what is posted goes where the config says."""

    def redirect_request(self, *_: object) -> None:
        """No other request: the redirect is the answer, and so an error."""


def post(webhook: Webhook, letter: Letter) -> None:
    """By HTTP POST, the report as the body. Raises NotDelivered where the answer is not 2xx."""
    kind = TYPES[letter.form]
    headers = {
        "Content-Type": kind if letter.form == "pdf" else f"{kind}; charset=utf-8",
        "Content-Disposition": f'attachment; filename="{letter.file_name}"',
        "Idempotency-Key": letter.id,
    }
    if webhook.token:
        headers["Authorization"] = f"Bearer {webhook.token.reveal()}"
    # The address begins with http:// or https://, as the config checks.
    request = urllib.request.Request(webhook.url, letter.content, headers, method="POST")  # noqa: S310
    try:
        with urllib.request.build_opener(_Straight).open(request, timeout=SECONDS) as answer:
            answer.read(1024)
    except urllib.error.HTTPError as error:
        raise NotDelivered(f"webhook {webhook.url}: it answers {error.code} {error.reason}") from None
    except (OSError, HTTPException) as error:
        raise NotDelivered(f"webhook {webhook.url}: {getattr(error, 'reason', None) or error}") from None
