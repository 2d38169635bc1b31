"""Reports of a store: what they show of its records, in every format, from the command and over HTTP."""

import asyncio
import csv
import io
import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from exporter.__main__ import main
from exporter.config import Config, read_config
from exporter.report.compute import report
from exporter.report.content import Report
from exporter.report.pdf import printed
from exporter.report.rendering import FORMATS, code, plain, render
from exporter.runtime import once, open_store
from exporter.store import Store

pytestmark = pytest.mark.slow

AT = datetime(2026, 3, 25, 15, 30, tzinfo=UTC)
BEGIN = datetime(2026, 3, 9, tzinfo=UTC)  # the Monday of week 11
CONFIG = """\
store: {path: store.duckdb}
time_zone: Europe/Berlin
labels: {request: [team]}
kpis:
  only: [escalation_ratio, deflection_ratio, requests, resolution_seconds, first_response_seconds]
  escalation_ratio: {target: 0.1, baselines: {fixed: {from: "2026-03-10", to: "2026-03-13"}}}
interventions:
  - {date: "2026-03-16", what: New expense policy, where: {team: finance}, kpis: [support]}
go_live: {team: {finance: "2026-03-16"}}
sources:
  - {name: desk, type: files, record: request, path: requests.jsonl, max_staleness: 365d}
"""


def requests() -> Iterator[dict[str, object]]:
    """Two weeks of two teams, a hundred a week and team; in the second week finance escalates half of its own."""
    for number in range(400):
        week, team, place = number // 200, ("finance", "<b>=hr")[number % 2], number // 2 % 100
        at = BEGIN + timedelta(days=7 * week, minutes=95 * place + 30)
        escalated = place % (2 if week and team == "finance" else 12) == 0
        yield {
            "id": str(number), "team": team, "opened_at": at.isoformat(), "outcome": "resolved", "handled_by": "human",
            "resolved_at": (at + timedelta(minutes=20 + place)).isoformat(),
            "escalated_at": (at + timedelta(minutes=5)).isoformat() if escalated else None,
        }  # fmt: skip


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    folder = tmp_path_factory.mktemp("report")
    (folder / "requests.jsonl").write_text("".join(json.dumps(row) + "\n" for row in requests()))
    (folder / "outcome.yaml").write_text(CONFIG)
    found = read_config(folder / "outcome.yaml")
    with open_store(found) as opened:
        asyncio.run(once(found, opened, lambda: AT, at=AT, polls=True))
    return found


@pytest.fixture
def store(config: Config) -> Iterator[Store]:
    with open_store(config) as opened:
        yield opened


MADE: dict[tuple[Path, str], Report] = {}
"""Reports that several tests look at."""


def week(config: Config, store: Store, name: str = "2026-W12") -> Report:
    key = config.store.path, name
    if key not in MADE:
        MADE[key] = report(config, store, name, "support", AT)
    return MADE[key]


def test_the_memo_says_what_changed_where_and_what_to_do(config: Config, store: Store) -> None:
    text = render(week(config, store), "md")

    assert "# Week 12, 16 to 22 March 2026: Are people helped, and by whom?" in text
    assert "Escalation rate in finance rose from 9.0% to 50.0% (n = 100, before 100) since about 16 March." in text
    assert "No other team changed beyond chance." in text
    assert "target 10.0%: missed; warning above 20.0%, critical above 35.0%" in text
    assert "of the fixed period" in text
    assert "**Escalation rate, finance: 50.0% (critical above 35.0%, n = 100).**" in text
    assert "`outcome-exporter explain escalation_ratio team=finance --at 2026-03-22T23:00Z`" in text
    assert "- Field missing: Verified deflection, Time to first response" in text
    assert "## What was unusual\n\n- No day could be compared: that takes five of the eight same weekdays" in text


def test_the_first_week_has_nothing_to_be_compared_with(config: Config, store: Store) -> None:
    found = week(config, store, "2026-W11")

    assert {line.kpi: line.absent for line in found.lines.values()} == dict.fromkeys(found.lines, "no records")
    assert not found.better
    assert not found.worse
    assert "There was nothing to compare, so nothing is said to have changed." in render(found, "md")


def test_what_was_changed_on_purpose_stands_beside_what_changed(config: Config, store: Store) -> None:
    found = [text for text in week(config, store).interventions if text.startswith("New expense policy (team finance")]

    assert "16 March 2026). Escalation rate: 8.9% (n = 90) before, 50.0% (n = 90) since (6 days each)" in found[0]
    assert found[0].endswith("worse, beyond chance.")


def test_a_review_of_a_go_live_says_what_is_due_and_when(config: Config, store: Store) -> None:
    made = report(config, store, "30-60-90", "support", AT)
    text = render(made, "md")

    assert "<h2>The 30 days up to 24 March 2026</h2>" in render(made, "html")
    assert "# 30, 60 and 90 days after a go-live: what came of it?" in text
    assert "**No review has anything to say yet.**" in text
    assert "## Team finance, live since 16 March 2026" in text
    assert "**Day 30, stability.** Due on 15 April 2026." in text
    assert "## The 30 days up to 24 March 2026" in text


def test_a_week_that_is_not_over_says_so(config: Config, store: Store) -> None:
    assert "This week is not over: values are of its first 2 days and 16 hours, up to 25 March 2026 16:00." in render(
        week(config, store, "2026-W13"), "md"
    )


def test_a_month_without_one_before_it_is_told_of_its_halves(config: Config, store: Store) -> None:
    found = report(config, store, "2026-03", "support", datetime(2026, 4, 2, tzinfo=UTC))

    assert found.earlier == "in its first half"
    assert found.notes[0].startswith("Records do not reach back over the month before.")


def test_the_table_has_the_figures_of_the_memo_and_no_formula(config: Config, store: Store) -> None:
    rows = [*csv.DictReader(io.StringIO(render(week(config, store), "csv")))]
    whole = next(row for row in rows if row["kpi"] == "escalation_ratio" and not row["label"])
    segments = {row["segment"]: row for row in rows if row["kpi"] == "escalation_ratio" and row["label"]}

    assert (whole["value"], whole["n"], whole["before"], whole["change"]) == ("0.295", "200.0", "0.09", "rose")
    assert (segments["finance"]["change"], segments["<b>=hr"]["change"]) == ("rose", "same")
    moved = sum(float(row["own"]) + float(row["mix"]) for row in segments.values())
    assert moved == pytest.approx(float(whole["difference"]))


def test_a_page_of_its_own_needs_no_other_file_and_shows_names_as_text(config: Config, store: Store) -> None:
    page = render(week(config, store), "html")

    assert "<style>" in page
    assert "href=" not in page
    assert "<built-in" not in page
    assert "<b>=hr" not in page


def test_names_are_shown_as_they_are_in_markdown_too() -> None:
    assert plain("<b>=hr\n`rm` [x](y) *z* a_b|c") == "&lt;b&gt;=hr \\`rm\\` \\[x\\](y) \\*z\\* a_b\\|c"
    assert code("explain team=`x`") == "`` explain team=`x` ``"


def test_the_command_writes_a_file_and_refuses_what_it_cannot_do(config: Config, tmp_path: Path) -> None:
    def run(*options: str) -> tuple[int, str]:
        result = CliRunner().invoke(main, ["report", "--config.file", str(config.file), *options])
        return result.exit_code, result.output

    assert run("--period", "2026-W12", "--output", str(tmp_path / "week.md")) == (0, "")
    assert (tmp_path / "week.md").read_text().startswith("# Week 12, 16 to 22 March 2026: Is it paying off?")
    assert run("--period", "year")[1].startswith("outcome-exporter: period 'year': write week, month or quarter")
    assert run("--format", "pdf")[1].startswith("outcome-exporter: a PDF is no text for a terminal")


def test_without_a_browser_there_is_no_pdf_and_the_error_says_what_to_do(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    result = CliRunner().invoke(
        main,
        ["report", "--config.file", str(config.file), "--period", "2026-W12", "--format", "pdf", "--output", "x.pdf"],
    )

    assert result.exit_code == 1
    assert "install one, or choose --format html and print it from a browser" in result.output


def test_a_memo_is_printed_on_at_most_three_pages(config: Config, store: Store) -> None:
    if shutil.which("chromium") is None:
        pytest.skip("chromium is not installed")
    content = printed(FORMATS["html"](week(config, store)))

    assert content.startswith(b"%PDF")
    assert content.count(b"/Type /Page\n") <= 3
