"""Reports on a cadence: none twice, none missing, and sent by real SMTP and HTTP."""

import asyncio
import socket
import socketserver
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from exporter.collect.selfmetrics import Health
from exporter.config import Config
from exporter.config.reports import Mail, Scheduled, Webhook
from exporter.config.secret import Secret
from exporter.report.delivery import DeliveryError, Letter, deliveries
from exporter.report.schedule import Schedule
from exporter.store import Store
from exporter.store.status import SourceStatus
from tests.deadline import within
from tests.scenario import empty_store
from tests.test_config import load, mistakes

MONDAY = datetime(2026, 3, 30, tzinfo=UTC)  # week 13 is over
HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(weeks=1)
CONFIG = """
sources: [{name: desk, type: files, path: desk.csv, record: request}]
kpis: {only: [escalation_ratio]}
reports:
  - {period: week, for: support, format: md, folder: out}
"""


class Smtp(socketserver.StreamRequestHandler):
    """A mail server as small as RFC 5321 allows; it refuses whom it does not know."""

    def handle(self) -> None:
        self._say("220 here")
        while line := self.rfile.readline().decode().strip():
            verb = line.split()[0].upper()
            if verb in ("EHLO", "HELO"):
                self._say("250 here")
            elif verb == "RCPT" and "stranger" in line:
                self._say("550 no such mailbox")
            elif verb == "DATA":
                self._say("354 go on")
                content = b"".join(iter(self.rfile.readline, b".\r\n"))
                taken(self.server).append(({}, content))
                self._say("250 taken")
            else:
                self._say("221 bye" if verb == "QUIT" else "250 ok")

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


class Hook(BaseHTTPRequestHandler):
    """Takes what is posted, with the answers that the test wants, one after the other."""

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        taken(self.server).append((dict(self.headers), content))
        answers: list[int] = vars(self.server).setdefault("answers", [])
        status = answers.pop(0) if answers else 204
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def taken(server: object) -> list[tuple[Mapping[str, str], bytes]]:
    """(headers, content) of all that a server has taken."""
    found: list[tuple[Mapping[str, str], bytes]] = vars(server).setdefault("taken", [])
    return found


def serving(server: socketserver.TCPServer) -> Iterator[Any]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def smtp() -> Iterator[Any]:
    yield from serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Smtp))


@pytest.fixture
def hook() -> Iterator[Any]:
    yield from serving(HTTPServer(("127.0.0.1", 0), Hook))


def mail(server: Any, **more: Any) -> Mail:
    what: dict[str, Any] = {"security": "none", "user": None, "password": None, "sender": "a@b.example"}
    return Mail(**{"host": "127.0.0.1", "port": port_of(server), "to": ("boss@b.example",), **what, **more})


def port_of(server: Any) -> int:
    address: tuple[str, int] = (server if isinstance(server, socket.socket) else server.socket).getsockname()
    return address[1]


def webhook(server: Any) -> Webhook:
    return Webhook(url=f"http://127.0.0.1:{server.server_address[1]}/reports", token=Secret("sesame"))


LETTER = Letter(id="1", title="Report", file_name="r.md", form="md", content="# Größe\n".encode())


def deliver(report: Scheduled) -> None:
    for delivery in deliveries(report).values():
        delivery(LETTER)


@dataclass
class Place:
    """A config with one report and a store; `at`: the time there."""

    config: Config
    store: Store
    at: datetime = MONDAY + 7 * HOUR
    read: datetime | None = None
    complete: bool = True
    health: Health = field(default_factory=lambda: Health(version="1"))

    def schedule(self) -> Schedule:
        """As after a start."""
        return Schedule(lambda: self.config, self.store, self.sources, lambda: self.at, self.health.reports, (0.0, 0.0))

    def sources(self, at: datetime) -> Sequence[SourceStatus]:
        read = self.read or at
        return [SourceStatus(source="desk", records=frozenset({"request"}), last_success=read, complete=self.complete)]

    def round(self) -> list[str]:
        """Starts anew, looks once what is due; then the files that are there."""
        schedule = self.schedule()
        schedule.write()
        schedule.send()
        return sorted(path.name for path in self.report.folder.glob("*"))

    @property
    def report(self) -> Scheduled:
        return self.config.reports[0]

    def sent_to(self, **where: Any) -> None:
        self.config = replace(self.config, reports=(replace(self.report, **where),))

    def metric(self, name: str, step: str) -> float | None:
        labels = {"report": self.report.name, "step": step}
        return self.health.registry.get_sample_value(name, labels)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    (tmp_path / "outcome.yaml").write_text(CONFIG)
    (tmp_path / "desk.csv").write_text("id\n")
    config = load(tmp_path / "outcome.yaml")
    with empty_store(tmp_path / "store") as store:
        yield Place(config, store)


def test_a_week_has_one_report_however_often_the_exporter_starts(place: Place) -> None:
    first = place.round()
    place.report.folder.joinpath(first[0]).write_text("read and archived")
    again = place.round()

    assert first == again == ["2026-W13-for-support.md"]
    assert place.report.folder.joinpath(first[0]).read_text() == "read and archived"
    assert place.metric("outcome_report_last_success_timestamp_seconds", "written") == place.at.timestamp()


def test_a_report_that_was_moved_away_is_not_written_again(place: Place) -> None:
    [name] = place.round()
    place.report.folder.joinpath(name).unlink()

    assert place.round() == []


def test_reports_that_fell_due_during_a_standstill_are_written_afterwards(place: Place) -> None:
    place.round()
    place.at += 3 * WEEK

    assert place.round() == [f"2026-W{week}-for-support.md" for week in (13, 14, 15, 16)]


def test_a_report_waits_for_its_delay_and_until_its_period_has_been_read(place: Place) -> None:
    place.at = MONDAY + 5 * HOUR
    early = place.round()  # of the week before
    place.at, place.read = MONDAY + 7 * HOUR, MONDAY - HOUR
    unread = place.round()
    place.at = MONDAY + 7 * HOUR + DAY
    late = place.round()

    assert early == unread == ["2026-W12-for-support.md"]
    assert late == ["2026-W12-for-support.md", "2026-W13-for-support.md"]


def test_after_a_first_start_a_report_waits_for_the_first_sync_but_not_for_ever(place: Place) -> None:
    place.at, place.complete = MONDAY + 5 * DAY, False
    first = place.round()
    place.at += DAY
    restarted = place.round()
    place.at += DAY
    given_up = place.round()

    assert (first, restarted, given_up) == ([], [], ["2026-W13-for-support.md"])


def test_after_a_first_sync_the_report_comes_at_once(place: Place) -> None:
    place.at, place.complete = MONDAY + 5 * DAY, False
    place.round()
    place.at, place.complete = place.at + HOUR, True

    assert place.round() == ["2026-W13-for-support.md"]


def test_what_was_written_just_before_the_end_is_noted_and_not_written_again(place: Place) -> None:
    place.report.folder.mkdir()
    place.report.folder.joinpath("2026-W13-for-support.md").write_text("whole")

    assert place.round() == ["2026-W13-for-support.md"]
    assert place.report.folder.joinpath("2026-W13-for-support.md").read_text() == "whole"


def test_a_folder_that_cannot_be_written_is_counted_and_tried_again(place: Place) -> None:
    place.report.folder.write_text("a file")
    place.schedule().write()
    failures = place.metric("outcome_report_failures_total", "written")
    place.report.folder.unlink()

    assert (failures, place.round()) == (1, ["2026-W13-for-support.md"])


def test_a_report_is_mailed_once_with_the_file(place: Place, smtp: Any) -> None:
    place.sent_to(mail=mail(smtp))
    [name] = place.round()
    place.round()

    [(_, content)] = taken(smtp)
    message = message_from_bytes(content)
    [attached] = [part for part in message.walk() if part.get_filename()]
    assert (message["To"], message["Subject"]) == ("boss@b.example", "Report of 2026-W13 for support")
    assert (attached.get_filename(), attached.get_content_type()) == (name, "text/markdown")
    payload = attached.get_payload(decode=True)
    assert payload == place.report.folder.joinpath(name).read_bytes()
    assert place.metric("outcome_report_last_success_timestamp_seconds", "delivered") == place.at.timestamp()


def test_what_a_webhook_refuses_is_tried_again_and_then_at_the_next_look(place: Place, hook: Any) -> None:
    place.sent_to(webhook=webhook(hook))
    vars(hook)["answers"] = [503, 503, 503, 500]
    place.round()
    failures = place.metric("outcome_report_failures_total", "delivered")
    place.round()
    place.round()

    assert (failures, place.metric("outcome_report_failures_total", "delivered")) == (3, 4)
    assert len(taken(hook)) == 5
    headers, content = taken(hook)[-1]
    assert headers["Authorization"] == "Bearer sesame"
    assert headers["Idempotency-Key"] == "2026-W13.week-support-md"
    assert content == place.report.folder.joinpath("2026-W13-for-support.md").read_bytes()


def test_nobody_gets_a_report_again_because_another_did_not_get_it(place: Place, smtp: Any, hook: Any) -> None:
    place.sent_to(mail=mail(smtp, to=("boss@b.example", "stranger@b.example")), webhook=webhook(hook))
    vars(hook)["answers"] = [500, 500, 500]
    place.round()
    place.round()

    assert len(taken(smtp)) == 1
    assert len(taken(hook)) == 4


def test_the_path_of_a_webhook_is_in_no_error(place: Place, hook: Any) -> None:
    vars(hook)["answers"] = [500]
    place.sent_to(webhook=webhook(hook))

    with pytest.raises(DeliveryError, match=r"^webhook of 127\.0\.0\.1: it answers 500 Internal Server Error$"):
        deliver(place.report)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"to": ("stranger@b.example",)}, "it refuses stranger@b.example: 550 no such mailbox"),
        ({"security": "starttls"}, "STARTTLS extension not supported by server."),
    ],
)
def test_mail_that_is_not_taken_says_why(more: dict[str, Any], why: str, place: Place, smtp: Any) -> None:
    place.sent_to(mail=mail(smtp, **more))

    with pytest.raises(DeliveryError, match=why):
        deliver(place.report)


async def test_the_exporter_ends_while_a_mail_server_hangs(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place.sent_to(mail=mail(silent))
        schedule = replace(place.schedule(), grace=0.0)
        schedule.start(asyncio.Lock())
        connected, _ = await asyncio.to_thread(silent.accept)

        async with within(3):
            await schedule.stop()
        with connected:
            assert place.metric("outcome_report_failures_total", "delivered") in (None, 0)


def test_a_webhook_that_redirects_or_is_not_there_says_so(place: Place, hook: Any) -> None:
    vars(hook)["answers"] = [302]
    place.sent_to(webhook=webhook(hook))
    with pytest.raises(DeliveryError, match="it answers 302"):
        deliver(place.report)
    place.sent_to(webhook=Webhook(url="http://127.0.0.1:1/", token=None))

    with pytest.raises(DeliveryError, match="refused"):
        deliver(place.report)


def test_a_config_says_what_is_wrong_with_a_report(tmp_path: Path) -> None:
    both = "{host: h, from: a, to: [b], security: none, user: u, password: '${PW}'}"
    reports = [
        f"{{period: week, for: support, folder: out, mail: {both}}}",
        "{period: week, for: support, folder: out}",
    ]
    (tmp_path / "desk.csv").write_text("id\n")
    path = tmp_path / "outcome.yaml"
    path.write_text(CONFIG.partition("reports:")[0] + f"reports: [{', '.join(reports)}]\n")

    assert [text.partition(": ")[2] for text in mistakes(path, {"PW": "sesame"})] == [
        "reports[0].mail.security: a password is only sent encrypted; write starttls or tls",
        "reports[1]: week-support-html is already there; one report may go to several addresses",
    ]
