"""`outcome-exporter test`: the user's own tests of a config, of its mapping and of KPIs."""

from pathlib import Path
from textwrap import dedent

import pytest
from click.testing import CliRunner

from exporter.__main__ import main

CONFIG = """\
labels: { booking: [team] }
sources:
  - name: desk
    type: files
    record: request
    path: export.csv
    time_zone: Europe/Berlin
    columns:
      { Ticket: id, Opened: opened_at, State: { to: outcome, map: { Solved: resolved }, otherwise: open }, "*": "" }
    segments: { team: { from: Queue, map: { "Second line": it } } }
    fields: { csat: { from: Stars, scale: [1, 5] } }
  - name: flows
    type: n8n
    url: https://n8n.example.com
    api_key: "${KEY}"
    segments: { team: { from: tags, match: "team:(.*)" } }
  - name: calls
    type: rest
    url: https://calls.example.com
    token: "${KEY}"
    record: request
    endpoint: /calls
    columns: { id: { from: number }, opened_at: { from: startd } }
"""
GOOD = """\
mapping:
  - name: a solved ticket of the second line
    source: desk
    item: { Ticket: 7, Opened: "2026-11-20 10:00", State: Solved, Queue: Second line, Stars: "5" }
    record: { id: "7", opened_at: "2026-11-20T09:00:00Z", outcome: resolved, team: it, csat: 1, reopen_count: null }
  - { source: desk, item: { Ticket: 8, Opened: yesterday, Queue: "", Stars: "" }, refused: opened_at }
  - { source: flows, type: run, item: { tags: ["team:finance"] }, record: { team: finance } }
  - source: calls
    item: { number: 1, startd: "2026-11-20T09:00:00Z" }
    record: { opened_at: "2026-11-20T10:00:00+01:00" }
kpis:
  - kpi: no_show_ratio
    at: "2026-11-30T00:00:00Z"
    segment: { team: it }
    records:
      booking:
        - { starts_at: "2026-11-29T10:00:00Z", outcome: no_show, team: it }
        - { starts_at: "2026-11-29T11:00:00Z", outcome: attended, team: it }
        - { starts_at: "2026-11-29T11:00:00Z", outcome: attended, team: hr }
    value: 0.5
    n: 2
"""


def run(folder: Path, cases: str, *arguments: str, config: str = CONFIG) -> tuple[int, list[str]]:
    """The exit code and the lines of `test` on these cases."""
    (folder / "outcome.yaml").write_text(config)
    (folder / "outcome.tests.yaml").write_text(cases)
    command = ["test", "--config.file", str(folder / "outcome.yaml"), *arguments]
    ended = CliRunner(env={"KEY": "sesame"}).invoke(main, command)
    return ended.exit_code, ended.output.splitlines()


def test_tests_that_pass_are_listed_and_the_exit_code_is_0(tmp_path: Path) -> None:
    assert run(tmp_path, GOOD) == (
        0,
        [
            "ok   mapping 1 (a solved ticket of the second line)",
            "ok   mapping 2",
            "ok   mapping 3",
            "ok   mapping 4",
            "ok   kpis 1 (no_show_ratio)",
            "5 of 5 tests pass",
        ],
    )


def test_what_differs_is_said_column_by_column_with_the_reason_and_the_exit_code_is_1(tmp_path: Path) -> None:
    cases = """\
mapping:
  - source: desk
    item: { Ticket: 7, Opened: "2026-11-20 10:00", State: Waiting, Queue: Second line, Stars: n/a }
    record: { opened_at: "2026-11-20T10:00:00Z", outcome: resolved, team: it, csat: 1 }
  - { source: desk, item: { Ticket: 8, Opened: yesterday, Queue: "", Stars: "" }, record: { outcome: open } }
  - { source: desk, item: { Ticket: 8, Opened: "2026-11-20 10:00", Queue: "", Stars: "" }, refused: opened_at }
kpis:
  - kpi: no_show_ratio
    at: "2026-11-30T00:00:00Z"
    records: { booking: [ { starts_at: "2026-11-29T10:00:00Z", outcome: no_show } ] }
    value: 0.5
    n: 2
  - kpi: no_show_ratio
    at: "2026-11-30T00:00:00Z"
    records: { request: [ { opened_at: "2026-11-29T10:00:00Z" } ] }
    value: 0.5
"""
    status, lines = run(tmp_path, cases)

    assert status == 1
    assert lines[:4] == [
        "FAIL mapping 1",
        "       opened_at: expected 2026-11-20T10:00:00Z, got 2026-11-20T09:00:00Z",
        "       outcome: expected resolved, got open",
        "       csat: expected 1.0, got nothing ('n/a' is not a number; if it means nothing, add it to nulls)",
    ]
    assert lines[5].startswith("       the item is refused: opened_at: a text of 9 characters is not a time")
    assert lines[7:-2] == [
        "       refused: expected opened_at, but the item becomes a record",
        "FAIL kpis 1 (no_show_ratio)",
        "       value: expected 0.5, got 1.0",
        "       n: expected 2.0, got 1.0",
        "FAIL kpis 2 (no_show_ratio)",
        "       value: expected 0.5, got nothing (no source)",
    ]
    assert lines[-2:] == ["0 of 5 tests pass", "outcome-exporter: 5 tests failed"]


@pytest.mark.parametrize(
    ("cases", "mistake"),
    [
        ("mapping: [{item: {a: b}, record: {outcome: open}}]", "say which source the item is of: desk, flows, calls"),
        ("mapping: [{source: flows, item: {a: b}, record: {team: it}}]", "say which record the item becomes: run, "),
        ("mapping: [{source: desk, item: {a: b}, record: {outcom: open}}]", "did you mean 'outcome'?"),
        ("mapping: [{source: desk, item: {a: b}}]", "say either what its record must be"),
        ("kpis: [{kpi: no_show_ratio, at: '2026-11-30', records: {booking: []}, value: 1}]", "a time with its offset"),
        ("kpis: [{kpi: no_show_ratio, at: '2026-11-30T00:00:00Z', records: {booking: []}}]", "say what it must be"),
        ("", "there is no test"),
    ],
)
def test_mistakes_in_the_tests_are_said_with_their_place(tmp_path: Path, cases: str, mistake: str) -> None:
    status, lines = run(tmp_path, cases)

    assert status == 1
    assert [line for line in lines if mistake in line] != []
    assert lines[0].startswith(f"{tmp_path}/outcome.tests.yaml:")
    assert lines[-1].endswith(" in the tests; none was run")


def test_a_file_of_tests_that_is_not_there_is_an_error_that_names_it(tmp_path: Path) -> None:
    status, lines = run(tmp_path, GOOD, "--cases", str(tmp_path / "other.yaml"))

    assert status == 1
    assert lines == [
        f"outcome-exporter: {tmp_path}/other.yaml: there is no such file; write it as --help shows, or give --cases"
    ]


def test_the_tests_that_the_help_shows_can_be_run_and_pass(tmp_path: Path) -> None:
    shown = CliRunner(env={"COLUMNS": "200"}).invoke(main, ["test", "--help"]).output
    text = shown.partition("  mapping:\n")[2].partition("\n\n")[0]
    config = """\
sources:
  - name: desk
    type: files
    record: request
    path: export.csv
    columns: { state: "" }
    fields: { outcome: { from: state, map: { Solved: resolved } } }
"""
    status, lines = run(tmp_path, "mapping:\n" + dedent(f"  {text.lstrip()}").replace("\n  ", "\n"), config=config)

    assert (status, lines[-1]) == (0, "3 of 3 tests pass")
