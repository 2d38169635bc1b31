"""What pages say of an evaluation: what is beyond a threshold and how surely, in which order, in which words."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from exporter.base.clock import NEVER
from exporter.catalogue.kpi import Threshold
from exporter.collect.poll import Progress
from exporter.collect.poller import LastPoll
from exporter.evaluation.figure import Evaluation, Figure
from exporter.evaluation.plan import Plan
from exporter.explain.breaches import breaches, records_of
from exporter.explain.history import Point
from exporter.explain.wording import value
from exporter.records.unreadable import Problem, Summary
from exporter.server.board import Board
from exporter.server.cards import listing
from exporter.server.overview import change, overview
from exporter.server.page import Pages, clock
from exporter.server.sources import line
from exporter.store.status import SourceStatus
from tests import test_evaluate

AT = datetime(2026, 3, 31, 9, 30, tzinfo=UTC)
PLAN = test_evaluate.plan()
KPIS = PLAN.kpis
FRESH = SourceStatus(source="desk", records=frozenset({"request"}), last_success=AT, noun="row")


def figure(
    kpi: str, numerator: float, denominator: float | None = None, window: str | None = "7d", **segment: str
) -> Figure:
    return Figure(kpi, window, tuple(segment.items()), numerator, denominator)


def board(*figures: Figure, absent: Mapping[str, str] | None = None, plan: Plan = PLAN) -> Board:
    absent = dict.fromkeys(KPIS, "no_source") if absent is None else dict(absent)
    known = {f.kpi for f in figures}
    reasons = {kpi: reason for kpi, reason in absent.items() if kpi not in known}
    return Board(evaluation=Evaluation(AT, figures, reasons), plan=plan, sources=[FRESH])


def told(found: Board) -> list[tuple[str, str | None, str, bool]]:
    return [(each.kpi, each.team, each.severity, each.certain) for each in found.breaches]


def test_what_is_surely_beyond_comes_first_then_what_is_of_too_few_records() -> None:
    found = board(
        figure("completion_ratio", 80, 100, team="a", workflow="w"),
        figure("completion_ratio", 1, 2, team="b", workflow="w"),
        figure("completion_ratio", 0, 40, team="c", workflow="w"),
        figure("completion_ratio", 5, 40, team="c", workflow="v"),
        figure("completion_ratio", 99, 100, team="d", workflow="w"),
        figure("completion_ratio", 0, 100, window="1d", team="d", workflow="w"),
    )

    assert told(found) == [
        ("completion_ratio", "c", "critical", True),
        ("completion_ratio", "a", "warning", True),
        ("completion_ratio", "b", "critical", False),
    ]
    assert found.breaches[0].records == 80
    assert found.breaches[0].value == pytest.approx(1 / 16)


def test_a_mean_of_few_records_is_not_certain() -> None:
    few, many = (board(figure("mttr_seconds", n * 9e4, n, team="a", service="s")).breaches[0].certain for n in (4, 5))

    assert (few, many) == (False, True)


def test_of_a_teams_segments_the_threshold_that_is_hardest_to_breach_counts_as_in_alerts() -> None:
    lenient = ({"workflow": "w"}, Threshold(warning=0.1, critical=0.05))
    settings = [
        replace(each, thresholds_by=(lenient,)) if each.kpi.name == "completion_ratio" else each
        for each in PLAN.settings
    ]
    figures = [figure("completion_ratio", 20, 50, team="a", workflow=name) for name in ("v", "w")]

    assert told(board(*figures)) == [("completion_ratio", "a", "critical", True)]
    assert breaches(Evaluation(AT, tuple(figures), {}), replace(PLAN, settings=settings)) == []


def test_what_a_kpi_always_has_stays_apart() -> None:
    (found,) = board(figure("consecutive_failures", 12, None, None, team="a", workflow="w")).breaches

    assert (found.segment, found.window, found.records) == ({"team": "a", "workflow": "w"}, None, None)


@pytest.mark.parametrize(
    ("kpi", "expected"),
    [
        ("completion_ratio", 50),
        ("mttr_seconds", 50),
        ("availability_ratio", None),  # weighted by seconds
        ("roi_ratio", None),  # divided by money
        ("policy_exceptions_per_100_accounts", 5000),
        ("cost_per_run", 50),
    ],
)
def test_n_is_shown_where_it_counts_records_only(kpi: str, expected: float | None) -> None:
    assert records_of(KPIS[kpi], KPIS, 50.0) == expected


@pytest.mark.parametrize(
    ("number", "unit", "expected"),
    [
        (412, "requests", "412 requests"),
        (1, "requests", "1 request"),
        (1, "people", "1 person"),
        (1, "dependencies per workflow", "1 dependency per workflow"),
        (1.5, "exceptions per 100 accounts", "1.50 exceptions per 100 accounts"),
        (0.25, "score", "0.25"),
        (12345.5, "currency", "12,345.50"),
        (5400, "seconds", "1.5 h"),
    ],
)
def test_a_value_carries_its_unit(number: float, unit: str, expected: str) -> None:
    assert value({"value": number, "unit": unit}) == expected


@pytest.mark.parametrize(
    ("hours", "day", "expected"), [(398, 8, "398.0 h (49.8 person-days)"), (7.5, 7.5, "7.5 h (1.0 person-day)")]
)
def test_working_time_is_in_hours_and_in_days_of_the_configured_length(hours: float, day: float, expected: str) -> None:
    row = {"value": hours * 3600, "unit": "seconds", "person_day_seconds": day * 3600}

    assert value(row) == expected


def test_groups_with_a_breach_come_first_and_what_has_no_source_is_behind_a_fold() -> None:
    found = listing(
        board(
            figure("deflection_ratio", 90, 100, team="a"),
            figure("completion_ratio", 0, 40, team="a", workflow="w"),
            figure("runs", 40, team="a", workflow="w"),
            absent={"csat_ratio": "no_records", "mttr_seconds": "no_source"},
        ),
        PLAN,
    )
    shown = [(group["name"], [card["kpi"] for card in group["cards"]][:2]) for group in found["groups"]]

    assert shown[0] == ("automation", ["completion_ratio", "runs"])
    assert ("support", "deflection_ratio") in [(name, kpis[0]) for name, kpis in shown]
    assert [card["kpi"] for card in found["unfed"]] == ["mttr_seconds"]
    completion = found["groups"][0]["cards"][0]
    assert completion["standing"][0]["records"] == "40 records"
    assert completion["beyond"][0]["which"] == "a"
    assert completion["beyond"][0]["limit"] == "critical below 75.0%"
    assert found["groups"][0]["cards"][1]["standing"][0]["records"] == ""


def test_a_team_has_its_own_values_and_no_kpi_that_is_not_by_team() -> None:
    found = board(
        figure("completion_ratio", 0, 40, team="a", workflow="w"),
        figure("completion_ratio", 38, 40, team="b", workflow="w"),
        absent={"active_teams": "no_records", "csat_ratio": "no_records"},
    )
    cards = {card["kpi"]: card for group in listing(found, PLAN, team="b")["groups"] for card in group["cards"]}

    assert found.teams == ["a", "b"]
    assert cards["completion_ratio"]["standing"][0]["value"] == "95.0%"
    assert (cards["completion_ratio"]["level"], cards["completion_ratio"]["beyond"]) == ("", [])
    assert "csat_ratio" in cards
    assert "active_teams" not in cards


def test_a_search_hides_cards_and_counts_those_that_are_left() -> None:
    found = listing(board(figure("completion_ratio", 38, 40, team="b")), PLAN, search="no-show RATE")

    assert (found["shown"], [card["kpi"] for card in found["unfed"] if not card["hidden"]]) == (1, ["no_show_ratio"])


ROW: dict[str, Any] = {"unit": "ratio", "value": 0.5, "baselines": [], "person_day_seconds": None}


@pytest.mark.parametrize(
    ("kpi", "difference", "expected"),
    [
        ("completion_ratio", 0.021, ("↗ +2.1 points", "better")),
        ("exception_ratio", 0.021, ("↗ +2.1 points", "worse")),
        ("exception_ratio", -0.021, ("↘ -2.1 points", "better")),
        ("completion_ratio", -0.0001, ("→ unchanged", "")),
    ],
)
def test_a_change_says_whether_it_is_for_the_better(kpi: str, difference: float, expected: tuple[str, str]) -> None:
    row = ROW | {"baselines": [{"baseline": "previous", "difference": difference}]}
    found = change(row, KPIS[kpi], [])

    assert found is not None
    assert (found["text"], found["way"]) == expected
    assert found["baseline"] == "the window before"


def test_without_a_baseline_the_oldest_of_the_last_weeks_is_compared_with() -> None:
    points = [Point(AT - timedelta(weeks=ago), known) for ago, known in ((3, None), (2, 0.4), (1, 0.6), (0, 0.5))]
    found = change(ROW, KPIS["completion_ratio"], points)

    assert found == {"text": "↗ +10.0 points", "way": "better", "baseline": "2 weeks ago"}
    assert change(ROW, KPIS["completion_ratio"], points[:1]) is None


UNKNOWN = Problem("outcome", "unknown_word", True, 1, "", "'x' is none of a, b", "line 2")
LOST = Summary(read=9, lost=1, lines=(UNKNOWN,))
FAILED = LastPoll("auth", "GET /tickets: 401", AT + timedelta(minutes=20))


@pytest.mark.parametrize(
    ("status", "last", "expected"),
    [
        (FRESH, None, ("fresh", "good")),
        (FRESH, LastPoll(None, "", AT), ("fresh", "good")),
        (FRESH, FAILED, ("failing", "critical")),
        (replace(FRESH, stale=True), None, ("stale", "critical")),
        (replace(FRESH, unread=LOST), None, ("unreadable", "critical")),
        (replace(FRESH, unread=LOST, most_unread=0.5), None, ("partial", "warning")),
        (FRESH, LastPoll("partial", "a.csv", AT), ("partial", "warning")),
        (replace(FRESH, complete=False), None, ("first sync", "busy")),
        (replace(FRESH, complete=False), LastPoll("rate_limited", "later", AT), ("first sync", "busy")),
        (replace(FRESH, complete=False), FAILED, ("failing", "critical")),
        (replace(FRESH, rereading=True), None, ("re-reading", "busy")),
    ],
)
def test_a_source_has_one_state_and_a_level(
    status: SourceStatus, last: LastPoll | None, expected: tuple[str, str]
) -> None:
    found = line(status, "zendesk", last, None)

    assert (found.state, found.level) == expected


def test_a_source_says_what_is_wrong_when_it_is_tried_again_and_how_far_it_is() -> None:
    syncing = replace(FRESH, complete=False, whole_since=NEVER, unread=LOST)
    found = line(syncing, "zendesk", FAILED, Progress("desk", 1200, 5000))

    assert found.error == "the credential is refused: GET /tickets: 401"
    assert found.next_at == AT + timedelta(minutes=20)
    assert found.notes == [
        "1,200 records read of about 5,000",
        "9 of 10 rows read; column outcome: 'x' is none of a, b (1 row, first: line 2)",
    ]


def test_sources_that_need_somebody_come_first_and_those_that_are_well_are_apart() -> None:
    polls = {"a": None, "b": FAILED, "c": None}
    lines = [line(replace(FRESH, source=name), "files", last, None) for name, last in polls.items()]
    found = overview(None, lines)

    assert [each.name for each in found["troubled"]] == ["b"]
    assert [each.name for each in found["fresh"]] == ["a", "c"]
    assert found["source_counts"] == [(1, "failing"), (2, "fresh")]


@pytest.mark.parametrize(
    ("due", "expected"),
    [
        (AT + timedelta(minutes=20), "at 09:50 UTC"),
        (AT + timedelta(days=1), "at 2026-04-01 09:30 UTC"),
        (AT - timedelta(seconds=1), "now"),
    ],
)
def test_what_is_due_is_said_with_a_date_only_on_another_day(due: datetime, expected: str) -> None:
    assert clock(due, AT) == expected


def first_page(found: Board) -> dict[str, Any]:
    return overview(found, [])


def test_the_first_page_counts_what_it_judged_and_says_what_is_withheld_and_why() -> None:
    well, empty = figure("completion_ratio", 99, 100, team="a"), figure("completion_ratio", 0, 0, team="a")
    withheld = {"mttr_seconds": "stale_source", "no_show_ratio": "field_missing", "csat_ratio": "no_source"}

    assert first_page(board(well))["judged"] == 1
    assert first_page(board(empty))["judged"] == 0
    assert first_page(board(absent=withheld))["judged"] == 0
    assert first_page(board(well, absent=withheld))["withheld"] == [(1, "field missing"), (1, "stale source")]


def test_no_page_says_that_all_is_within_where_a_value_is_beyond_and_not_certain() -> None:
    given = first_page(board(figure("completion_ratio", 1, 2, team="b")))
    about = {"version": "1", "ready": True, "state": "running", "trouble": None, "at": AT, "now": AT}
    page = Pages().other("index", **given, **about, series=1, links=[], prefix="")

    assert "? 1 not certain" in page
    assert "within</span>" not in page


def test_teams_beside_a_badge_are_those_that_it_is_about() -> None:
    found = board(*(figure("completion_ratio", 16, 24, team=team) for team in "abcdefghijklmn"))
    (tile,) = [each for each in first_page(found)["tiles"] if each["kpi"] == "completion_ratio"]

    assert {each.severity for each in found.breaches} == {"warning"}
    assert (tile["level"], tile["teams"]) == ("critical", [])


def test_a_window_that_a_first_sync_has_not_reached_is_not_one_without_records() -> None:
    figures = (figure("completion_ratio", 9, 10, window="1d", team="a"),)
    waiting = {"completion_ratio": frozenset({"7d", "30d", "90d"})}
    found = Board(evaluation=Evaluation(AT, figures, {}, waiting=waiting), plan=PLAN, sources=[FRESH])
    cards = [card for group in listing(found, PLAN)["groups"] for card in group["cards"]]

    assert [card["absent"] for card in cards if card["kpi"] == "completion_ratio"] == ["first sync"]
    assert first_page(found)["withheld"] == [(1, "first sync")]


def test_a_kpi_without_values_of_a_team_is_not_linked_to_with_that_team() -> None:
    found = listing(board(figure("completion_ratio", 9, 10, team="a")), PLAN, team="a")
    links = [card["href"] for card in found["unfed"]]

    assert links
    assert [href for href in links if "team=" in href] == []
