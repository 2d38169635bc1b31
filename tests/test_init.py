"""`outcome-exporter init`: from an export as it is to right figures."""

import asyncio
import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from exporter.__main__ import main
from exporter.base import strict_yaml
from exporter.collect.poll import poll_once
from exporter.collect.selfmetrics import Health
from exporter.config import Config, read_config
from exporter.connectors import CONNECTORS
from exporter.connectors.files.discovery import matching
from exporter.evaluation.context import Connection
from exporter.proposal import tables
from exporter.proposal.times import DISTINCT, spread
from exporter.records import RECORDS
from exporter.records.columns import COLUMNS
from exporter.runtime import statuses
from exporter.store import Store
from tests.exports import AT, EXPORTS, Export, workbook
from tests.figures import Totals, read
from tests.scenario import empty_store

MOST_EDITS = 3
NAMES, WORDS = (strict_yaml.shipped(tables.HERE / f"{name}.yaml").data for name in ("names", "words"))


def run(folder: Path, *arguments: str, answers: str | None = None) -> tuple[int, str]:
    """Exit code and output of `init` in a folder."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        result = CliRunner().invoke(main, ["init", *arguments], input=answers)
    finally:
        os.chdir(before)
    return result.exit_code, result.output


def written(folder: Path, export: Export) -> str:
    """The config that `init` writes for an export."""
    path = folder / export.name
    export.write(path)
    os.utime(path, (AT.timestamp(), AT.timestamp()))
    code, output = run(folder, "--file", export.name, "--no-ask", *export.flags)
    assert (code, output.splitlines()[-3:]) == (
        0,
        [
            "outcome.yaml written. Next:",
            "  outcome-exporter check --live",
            "  outcome-exporter run",
        ],
    ), output
    return (folder / "outcome.yaml").read_text()


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, Connection]]:
    """A store for all exports, one after another, and a reader of it."""
    with empty_store(tmp_path_factory.mktemp("store") / "store") as store, store.reading() as reader:
        yield store, reader


def polled(desk: tuple[Store, Connection], config: Config, export: Export) -> tuple[str, list[str], Totals]:
    """Why the source failed, what of it was left out, and what its records come to."""
    store, reader = desk
    [source] = config.sources
    [record] = source.records
    outcome = asyncio.run(poll_once(source, store, Health(version="0"), AT))
    [status] = statuses(config, store, AT)
    figures = read(reader, source.name, AT, window="30d", kpis=export.figures, min_coverage=0.5)
    ids = reader.execute(f"select id from {export.record}").fetchall()
    store.write(source.name, [], {}, gone=[(record, key) for (key,) in ids])
    return outcome.text if outcome.reason else "", [*map(str, status.unread.lines)], figures


def marked(text: str) -> list[str]:
    """The keys of a config that are marked as guesses."""
    keys = (re.match(r'[ {-]*(?:"([^"]+)"|([^:]+)):.* # GUESS: ', line) for line in text.splitlines())
    return [key[1] or key[2] for key in keys if key]


@pytest.mark.slow
@pytest.mark.parametrize("export", EXPORTS, ids=lambda export: export.name)
def test_an_export_gives_right_figures_after_at_most_three_edits(
    tmp_path: Path, desk: tuple[Store, Connection], export: Export
) -> None:
    text = proposed = written(tmp_path, export)
    for before, after in export.edits.items():
        assert text.count(before) == 1
        text = text.replace(before, after)
    (tmp_path / "outcome.yaml").write_text(text)
    config = read_config(tmp_path / "outcome.yaml")
    counted = {kpi: (float(n), float(d)) for kpi, (n, d) in export.figures.items()}

    assert len(export.edits) <= MOST_EDITS
    assert ([*export.guesses], True) == (marked(proposed), f"record: {export.record}" in text)
    assert ("", [], counted) == polled(desk, config, export)


def test_a_config_that_exists_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "outcome.yaml").write_text("mine")
    (tmp_path / "a.csv").write_text("id,created\n1,2026-03-30T10:00:00Z\n")
    code, output = run(tmp_path, "--file", "a.csv")

    assert (code, output) == (
        1,
        "outcome-exporter: outcome.yaml exists and is not overwritten; give another name with --output\n",
    )
    assert (tmp_path / "outcome.yaml").read_text() == "mine"


def test_what_nothing_tells_is_asked_where_somebody_answers(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("Ticket ID,Created,Resolved,Status\n1,02/03/2026 10:00,02/03/2026 11:00,Closed\n")
    code, output = run(tmp_path, "--ask", answers="a.csv\nmonth\nEurope/Berlim\nEurope/Berlin\n")

    assert code == 0
    assert [line for line in output.splitlines() if "?" in line or "no time zone" in line] == [
        "In 02/03/2026 10:00, is the first number the day or the month? (day, month): month",
        "No time in Created, Resolved has an offset. In which time zone are they? [UTC]: Europe/Berlim",
        "there is no time zone 'Europe/Berlim'; did you mean 'Europe/Berlin'?",
        "No time in Created, Resolved has an offset. In which time zone are they? [UTC]: Europe/Berlin",
    ]
    text = (tmp_path / "outcome.yaml").read_text()
    assert sorted(line.strip() for line in text.splitlines() if "time_" in line) == [
        'time_format: "%m/%d/%Y %H:%M"',
        "time_zone: Europe/Berlin",
    ]


@pytest.mark.parametrize(
    ("content", "arguments", "said"),
    [
        ("id\n", ["--time-zone", "Mars"], "--time-zone: there is no time zone 'Mars'; write it like Europe/Berlin"),
        ("id\n", ["--connector", "n8n"], "--file and --connector are both given; give one of them"),
        (
            "id,created\n",
            [],
            "a.csv: holds no row that can be read; give a file with some",
        ),
        ("1,2026-03-30\n2,2026-03-31\n", [], "a.csv: has no line with names of columns; write one above the rows"),
        (b"\xd0\xcf\x11\xe0", [], "a.csv: is an old workbook (.xls), or one with a password; save it as .xlsx or CSV"),
    ],
)
def test_what_cannot_be_described_is_said(tmp_path: Path, content: Any, arguments: list[str], said: str) -> None:
    (tmp_path / "a.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    code, output = run(tmp_path, "--file", "a.csv", "--no-ask", *arguments)

    assert (code, output) == (1, f"outcome-exporter: {said}\n")
    assert not (tmp_path / "outcome.yaml").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give --file PATH for an export, or --connector NAME for a platform"),
        (["--file", "none.csv"], "no file matches none.csv"),
        (["--connector", "zendex"], "--connector zendex: there is no such connector; did you mean 'zendesk'?"),
        (["--connector", "files"], "files are described by what is in them; give --file PATH"),
    ],
)
def test_what_is_not_there_is_said(tmp_path: Path, arguments: list[str], said: str) -> None:
    code, output = run(tmp_path, "--no-ask", *arguments)

    assert (code, output) == (1, f"outcome-exporter: {said}\n")


def test_what_is_nested_is_read_by_its_path(tmp_path: Path) -> None:
    ticket = {"key": "A-1", "owner": {"team": "net", "id": 7, "status": "away"}}
    item = {"ticket": ticket, "created": {"at": "2026-03-30T10:00:00Z"}, "status": "done"}
    (tmp_path / "tickets.jsonl").write_text(json.dumps(item) + "\n")
    code, _ = run(tmp_path, "--file", "tickets.jsonl", "--no-ask")
    config = read_config(tmp_path / "outcome.yaml")
    with empty_store(tmp_path / "store") as store:
        asyncio.run(poll_once(config.sources[0], store, Health(version="0"), AT))
        with store.reading() as db:
            rows = db.execute("select id, team, outcome, epoch(opened_at) from request").fetchall()

    assert (code, rows) == (0, [("A-1", "net", "resolved", 1_774_864_800)])
    assert marked((tmp_path / "outcome.yaml").read_text()) == ["ticket.owner.team"]


def test_a_file_is_read_whatever_signs_its_name_has(tmp_path: Path) -> None:
    name = "tickets [1].csv"
    (tmp_path / name).write_text("Ticket,Created,Status\nT-1,2026-03-30T10:00:00Z,Closed\n")
    code, _ = run(tmp_path, "--file", name, "--no-ask")
    source = read_config(tmp_path / "outcome.yaml").sources[0]

    assert (code, [file.path.name for file in matching(source.options.path, AT)[0]]) == (0, [name])


FINNISH = "Numero,Tila,Avattu\nT-1,valmis,2026-03-30T10:00:00Z\n"


def test_of_a_file_in_an_unknown_language_no_values_are_made_up(tmp_path: Path) -> None:
    (tmp_path / "tickets.csv").write_text(FINNISH)
    unsaid = run(tmp_path, "--file", "tickets.csv", "--no-ask")
    code, _ = run(tmp_path, "--file", "tickets.csv", "--no-ask", "--record", "request")

    assert unsaid[0] == 1
    assert unsaid[1].startswith(
        "outcome-exporter: No column has a name that tells what a row is; say which with --record: "
    )
    assert (code, marked((tmp_path / "outcome.yaml").read_text())) == (0, ["record"])


@pytest.mark.parametrize("count", [3, DISTINCT, DISTINCT + 1, 20_000])
def test_of_a_long_file_some_of_all_parts_are_looked_at(count: int) -> None:
    seen = spread(range(count))

    assert (seen[0], len(seen) <= DISTINCT, count - seen[-1] <= count // DISTINCT + 1) == (0, True, True)
    assert len(seen) >= min(count, DISTINCT // 2)


def test_a_workbook_of_several_sheets_says_what_there_is_to_choose_from(tmp_path: Path) -> None:
    workbook(tmp_path / "a.xlsx")
    code, output = run(tmp_path, "--file", "a.xlsx", "--no-ask")

    assert (code, output) == (
        1,
        "outcome-exporter: a.xlsx holds 2 sheets; say which with --sheet: Tickets, Légende\n",
    )


@pytest.mark.parametrize("name", sorted({*CONNECTORS} - {"files"}))
def test_the_config_for_a_connector_is_valid_once_its_variables_are_set(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, output = run(tmp_path, "--connector", name)
    text = (tmp_path / "outcome.yaml").read_text()
    for variable in re.findall(r"^  export ([A-Z0-9_]+)=", output, re.MULTILINE):
        monkeypatch.setenv(variable, "x" * 40)
    config = read_config(tmp_path / "outcome.yaml")

    assert code == 0
    assert [source.type for source in config.sources] == [name]
    assert ("_file:" in re.sub(r"#.*", "", text), "check --live" in output) == (False, True)


def test_no_word_stands_twice_for_a_column_in_the_tables() -> None:
    of_columns = {key: words for key, words in WORDS.items() if isinstance(words, dict) and "." in key}
    words = {key: ", ".join(of.values()) for key, of in of_columns.items()}
    counts = {key: Counter(map(tables.plain, tables.parted(text))) for key, text in words.items()}
    repeated = {key: [word for word, count in found.items() if count > 1] for key, found in counts.items()}

    assert len(of_columns) > 10
    assert {key: found for key, found in repeated.items() if found} == {}


def test_the_tables_name_columns_and_words_that_there_are() -> None:
    columns = {f"{record}.{column}": each for record, kind in RECORDS.items() for column, each in COLUMNS[kind].items()}
    named = {f"{record}.{column}" for record in RECORDS for column in NAMES[record]}
    unknown = {key: {*of} - columns[key].words for key, of in WORDS.items() if "." in key and columns[key].words}

    assert named - columns.keys() == set()
    assert {key: words for key, words in unknown.items() if words} == {}


def test_what_is_true_of_a_file_only_by_its_looks_is_told(tmp_path: Path) -> None:
    rows = ["1,2026-03-27,2026-03-30,Solved,12:30", "1,2026-03-28,,Waiting,12:15"]
    (tmp_path / "a.csv").write_text("\n".join(["Ticket ID,Created,Solved,Status,Handle time", *rows, ""]))
    code, output = run(tmp_path, "--file", "a.csv", "--no-ask", "--time-zone", "UTC")
    lines = output.splitlines()

    assert code == 0
    assert "Only days, so lengths of time are in whole days: Created, Solved" in lines
    assert "1 row without an id of its own: of rows with one id the last counts" in lines
    assert '  Handle time: lengths like 26:30 may also be minutes: then "m:ss"' in lines


def test_a_time_of_day_that_may_be_a_length_of_time_is_marked(tmp_path: Path) -> None:
    rows = ["1,2026-03-27 08:00,2026-03-30,12:30,Solved", "2,2026-03-28 08:00,2026-03-28,12:15,Solved"]
    (tmp_path / "a.csv").write_text("\n".join(["Ticket,Created,Resolution date,Resolution time,Status", *rows, ""]))
    code, _ = run(tmp_path, "--file", "a.csv", "--no-ask", "--time-zone", "UTC")

    assert (code, marked((tmp_path / "outcome.yaml").read_text())) == (0, ["Resolution date"])
