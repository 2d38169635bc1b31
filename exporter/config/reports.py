"""Reads `reports`: which report is written when, where to, and whom it is sent to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from exporter.base.strict_yaml import At
from exporter.config.credential import Credentials
from exporter.config.secret import Secret
from exporter.config.section import ReportSection


@dataclass(frozen=True, kw_only=True)
class Mail:
    """A mail server, and from whom to whom a report goes."""

    host: str
    port: int
    security: Literal["starttls", "tls", "none"]
    user: str | None
    password: Secret | None
    sender: str
    to: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """An address that a report is posted to."""

    url: str
    token: Secret | None


@dataclass(frozen=True, kw_only=True)
class Scheduled:
    """A report of every period of a kind. `delay_seconds`: how long after its end it is made."""

    period: Literal["week", "month", "quarter"]
    reader: Literal["executive", "operations", "support", "engineering", "bookings", "rollout"]
    format: Literal["html", "md", "csv", "pdf"]
    folder: Path
    delay_seconds: int
    mail: Mail | None = None
    webhook: Webhook | None = None

    @property
    def name(self) -> str:
        """What tells it from the others: week-operations-html."""
        return f"{self.period}-{self.reader}-{self.format}"


def scheduled(credentials: Credentials, sections: Sequence[ReportSection], data: Any) -> tuple[Scheduled, ...]:
    """The reports of a config; notes mistakes. `data`: as it is written, for its secrets."""
    found: dict[str, Scheduled] = {}
    for i, section in enumerate(sections):
        at: At = ("reports", i)
        written = data[i] if isinstance(data, list) and isinstance(data[i], dict) else {}
        each = Scheduled(
            period=section.period,
            reader=section.for_,
            format=section.format,
            folder=credentials.folder / section.folder,
            delay_seconds=section.delay,
            mail=_mail(credentials, section, written.get("mail"), (*at, "mail")),
            webhook=_webhook(credentials, section, written.get("webhook"), (*at, "webhook")),
        )
        if each.name in found:
            credentials.checker.wrong(at, f"{each.name} is already there; one report may go to several addresses")
        found[each.name] = each
    return tuple(found.values())


def _mail(credentials: Credentials, section: ReportSection, written: Any, at: At) -> Mail | None:
    mail = section.mail
    if mail is None:
        return None
    password = credentials.secret(written, "password", at) if isinstance(written, Mapping) else None
    if (mail.user is None) != (mail.password is None and mail.password_file is None):
        credentials.checker.wrong(at, "user and password go together; leave both out where the server asks for none")
    if mail.user and mail.security == "none":
        credentials.checker.wrong((*at, "security"), "a password is only sent encrypted; write starttls or tls")
    return Mail(
        host=mail.host,
        port=mail.port,
        security=mail.security,
        user=mail.user,
        password=password,
        sender=mail.from_,
        to=mail.to,
    )


def _webhook(credentials: Credentials, section: ReportSection, written: Any, at: At) -> Webhook | None:
    if section.webhook is None:
        return None
    token = credentials.secret(written, "token", at) if isinstance(written, Mapping) else None
    return Webhook(url=section.webhook.url, token=token)
