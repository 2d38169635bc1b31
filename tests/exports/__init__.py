"""Exports with the habits of a dozen tools, each small: what was counted in it by hand, and which lines of the config
that `init` writes had to be edited. All names in them are invented."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import openpyxl

AT = datetime(2026, 3, 31, 12, tzinfo=UTC)
HERE = Path(__file__).parent
Write = Callable[[Path], Any]


@dataclass(frozen=True)
class Export:
    """An export. `figures`: KPI -> its numerator and denominator in the 30 days before AT."""

    name: str  # as the tool calls the file
    write: Write
    record: str
    figures: Mapping[str, tuple[float, float]]
    flags: Sequence[str] = ()
    edits: Mapping[str, str] = field(default_factory=dict)  # a part of a line -> what it becomes
    guesses: Sequence[str] = ()  # keys that are marked as guesses


def saved(name: str, encoding: str = "utf-8", newline: str = "\n") -> Write:
    """Writes a file of this folder, as a tool with these habits saves it."""
    text = (HERE / name).read_text("utf-8").replace("\n", newline)
    return lambda path: path.write_bytes(text.encode(encoding))


def workbook(path: Path) -> None:
    """Dates as days of the spreadsheet, lengths of time beyond a day, percentages, and a second sheet."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "Tickets"
    sheet.append(["N°", "Créé le", "Résolu le", "Statut", "Groupe", "Temps passé", "Satisfaction"])
    sheet.append([1, local(20, 10), local(20, 12), "Résolu", "Réseau", 26.5 / 24, 0.85])
    sheet.append([2, local(21, 10), None, "En attente", "Réseau", 0, None])
    sheet.append([3, local(22, 10), local(22, 11), "Clôturé", "Postes", 0.5 / 24, 0.5])
    for row in (2, 3, 4):
        sheet.cell(row, 6).number_format, sheet.cell(row, 7).number_format = "[h]:mm", "0%"
    book.create_sheet("Légende")
    book.save(path)


def local(day: int, hour: int) -> datetime:
    return datetime(2026, 3, day, hour)  # noqa: DTZ001 - cells of a spreadsheet have no time zone


HOURS = 3600
EXPORTS = (
    # Local times without seconds, ratings in words, most rows not rated.
    Export(
        "Ticket report.csv",
        saved("zendesk.csv"),
        "request",
        {
            "requests": (4, 0),
            "resolution_seconds": ((2 + 6 + 1) * HOURS, 3),
            "csat_ratio": (1, 2),
            "reopen_ratio": (1, 3),
            "backlog": (1, 0),
        },
        flags=["--time-zone", "Europe/London"],
        guesses=["Ticket satisfaction rating"],
    ),
    # Agreements in words, lengths with colons, states of the desk's own.
    Export(
        "freshdesk tickets.csv",
        saved("freshdesk.csv"),
        "request",
        {
            "requests": (3, 0),
            "resolution_seconds": ((3 + 72) * HOURS, 2),
            "first_response_seconds": ((0.5 + 1.5) * HOURS, 2),
            "sla_breach_ratio": (1, 2),
            "csat_ratio": (1, 1),
            "handle_seconds": ((0.75 + 1.25) * HOURS, 2),
        },
        edits={
            "time_zone: UTC": "time_zone: America/New_York",
            "# fields: { handled_by: { value: human } }": "fields: { handled_by: { value: human } }",
        },
        guesses=["time_zone", "Parts ordered", "Survey results"],
    ),
    # The time zone in the names of columns, what an AI agent did, ratings from 1 to 5, no word for the end but closed.
    Export(
        "conversations.csv",
        saved("intercom.csv"),
        "request",
        {
            "requests": (4, 0),
            "automated_resolution_ratio": (2, 3),
            "assisted_resolution_ratio": (1, 3),
            "csat_ratio": (1 + 0.25, 2),
            "resolution_seconds": (600 + 7200 + 300, 3),
        },
        guesses=["Last closed at (UTC)", "Conversation rating"],
    ),
    # Labels instead of names, numbered words, and no date that tells the day from the month.
    Export(
        "incident.csv",
        saved("servicenow.csv"),
        "request",
        {
            "requests": (3, 0),
            "resolution_seconds": ((2 + 8) * HOURS, 2),
            "sla_breach_ratio": (1, 2),
            "reopen_ratio": (1, 2),
            "backlog": (1, 0),
        },
        flags=["--time-zone", "Europe/Lisbon"],
        edits={'["%d-%m-%Y %H:%M:%S", "%m-%d-%Y %H:%M:%S"]': '"%d-%m-%Y %H:%M:%S"'},
        guesses=["time_format"],
    ),
    # Several columns of one name, months in words, a rating in a field of the site's own.
    Export(
        "Jira 2026-03-31.csv",
        saved("jira.csv"),
        "request",
        {"requests": (2, 0), "resolution_seconds": (2.5 * HOURS, 1), "csat_ratio": (0.75, 1), "backlog": (1, 0)},
        flags=["--time-zone", "Europe/Berlin"],
        guesses=["Custom field (Satisfaction)"],
    ),
    # Tabs, weekdays in times, "Not set", minutes of work.
    Export(
        "Results.tsv",
        saved("request-tracker.tsv"),
        "request",
        {"requests": (2, 0), "resolution_seconds": (4 * HOURS, 1), "handle_seconds": (1800, 1), "backlog": (1, 0)},
        flags=["--time-zone", "Europe/Berlin"],
        edits={"# fields: { handled_by: { value: human } }": "fields: { handled_by: { value: human } }"},
        guesses=["TimeWorked"],
    ),
    # What became of a meeting is in two columns.
    Export(
        "events-export.csv",
        saved("calendly.csv"),
        "booking",
        {
            "no_show_ratio": (1, 2),
            "attendance_ratio": (1, 3),
            "booking_cancellation_ratio": (1, 3),
            "bookings": (4, 0),
        },
        edits={"time_zone: UTC": "time_zone: Europe/Berlin"},
        guesses=["time_zone", "No"],
    ),
    # States in capitals, times with an offset; only who stayed away is marked.
    Export(
        "bookings.csv",
        saved("calcom.csv"),
        "booking",
        {
            "no_show_ratio": (1, 2),
            "attendance_ratio": (1, 3),
            "booking_cancellation_ratio": (1, 3),
            "bookings": (3, 0),
        },
        guesses=["ACCEPTED"],
    ),
    # JSON as `gh run list` prints it: how a run stands is in two fields, and when it ended in none.
    Export(
        "runs.json",
        saved("github.json"),
        "run",
        {
            "completion_ratio": (1, 2),
            "cancellation_ratio": (1, 3),
            "run_seconds": (600 + 300, 2),
            "queue_seconds": (60 + 60, 2),
        },
        guesses=["updatedAt"],
    ),
    # Times that end with UTC.
    Export(
        "jobs.csv",
        saved("gitlab.csv"),
        "run",
        {"completion_ratio": (1, 2), "run_seconds": (300 + 600, 2), "queue_seconds": (30 + 60, 2)},
    ),
    # A list inside an object, milliseconds, lengths instead of ends.
    Export(
        "builds.json",
        saved("jenkins.json"),
        "run",
        {"completion_ratio": (1, 2), "run_seconds": (300 + 60, 2)},
        guesses=["finished_at"],
    ),
    # Semicolons, umlauts of Windows, a heading, decimal commas. In the night of the third ticket the clocks go forward.
    Export(
        "Störungen März.csv",
        saved("german.csv", "cp1252", "\r\n"),
        "request",
        {
            "requests": (3, 0),
            "resolution_seconds": ((2.5 + 4) * HOURS, 2),
            "csat_ratio": (0.875 + 0.25, 2),
            "handle_seconds": ((1.5 + 0.25) * HOURS, 2),
        },
        edits={"# fields: { handled_by: { value: human } }": "fields: { handled_by: { value: human } }"},
        guesses=["time_zone", "Zufriedenheit"],
    ),
    Export(
        "suivi.xlsx",
        workbook,
        "request",
        {
            "requests": (3, 0),
            "resolution_seconds": (3 * HOURS, 2),
            "handle_seconds": (27 * HOURS, 2),
            "csat_ratio": (1.35, 2),
        },
        flags=["--sheet", "Tickets"],
        edits={"# fields: { handled_by: { value: human } }": "fields: { handled_by: { value: human } }"},
        guesses=["time_zone"],
    ),
    # The date and the time of day in two columns, one time that the clocks pass over, and a word that nobody knows.
    Export(
        "Termine.csv",
        saved("practice.csv", "cp1252"),
        "booking",
        {
            "no_show_ratio": (1, 3),
            "attendance_ratio": (2, 4),
            "booking_cancellation_ratio": (1, 4),
            "bookings": (4, 0),
        },
        edits={"# Warteliste: ...": "Warteliste: cancelled"},
        guesses=["time_zone"],
    ),
    # A calendar: no id, what became of a meeting as a category.
    Export(
        "calendar.CSV",
        saved("outlook.csv", "cp1252", "\r\n"),
        "booking",
        {"no_show_ratio": (1, 3), "attendance_ratio": (2, 4), "booking_cancellation_ratio": (1, 4)},
        flags=["--time-zone", "America/Chicago"],
        guesses=["id_columns"],
    ),
    # UTF-16 without a mark, and money.
    Export(
        "citas.csv",
        saved("spanish.csv", "utf-16-le", "\r\n"),
        "booking",
        {
            "no_show_ratio": (1, 2),
            "attendance_ratio": (1, 3),
            "booking_cancellation_ratio": (1, 3),
            "bookings": (3, 0),
        },
        guesses=["time_zone"],
    ),
    Export(
        "ticket.csv",
        saved("italian.csv", "cp1252", "\r\n"),
        "request",
        {
            "resolution_seconds": (14_400, 2),
            "first_response_seconds": (5_400, 2),
            "backlog": (1, 0),
        },
        guesses=["time_zone", "Chiuso il", "Valutazione"],
    ),
)
