"""Explanations: the records shown for a figure are exactly those it counts."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from exporter.catalogue.kpi import catalogue
from exporter.cli.terminal import every_page
from exporter.evaluation.figure import Evaluation, Figure
from exporter.evaluation.instant import evaluate
from exporter.evaluation.plan import Setting
from exporter.explain.download import csv_text
from exporter.explain.explain import explain
from exporter.explain.query import LARGEST_SIZE, Question, Unexplained, question
from exporter.explain.summary import rows
from exporter.explain.wording import against, assumed, numbers
from exporter.records import RECORDS, person_columns
from exporter.server.explanation import page
from exporter.server.gate import Gate
from exporter.store import Store
from tests import scenario

DAYS = {"1d": 1, "7d": 7, "30d": 30, "90d": 90}


class Case:
    """A scenario in a store."""

    def __init__(self, written: dict[str, Any], store: Store) -> None:
        self.written, self.at = written, scenario.at(written["at"])
        self.plan = scenario.plan(written)
        self.sources = scenario.fed(store, written)
        self.store = store

    def figures(self) -> list[Figure]:
        return [f for f in self.evaluate().figures if f.kpi == self.written["kpi"]]

    def rows(self, kpi: str, window: str) -> list[dict[str, Any]]:
        """What /kpis tells of a KPI."""
        return [
            each for each in rows(self.evaluate(), self.plan, []) if (each["kpi"], each.get("window")) == (kpi, window)
        ]

    def explain(self, *, known: Evaluation | None = None, **asked: Any) -> dict[str, Any]:
        whole = {"kpi": self.written["kpi"], "window": self.written["window"], "size": LARGEST_SIZE, **asked}
        with self.store.reading() as reader:
            return explain(reader, self.plan, self.at, self.sources, Question(**whole), known)

    def evaluate(self) -> Evaluation:
        with self.store.reading() as reader:
            return evaluate(reader, self.plan, self.at, self.sources)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with scenario.empty_store(tmp_path) as opened:
        yield opened


def counted(answer: dict[str, Any], figure: Figure) -> tuple[float, float | None]:
    """Numerator and denominator, added up from the records shown; what is not known adds nothing."""
    rows = answer["records"]
    above = [row.get("amount", 1) or 0 for row in rows if row["counted"] == "numerator"]
    below = [row.get("weight", 1) or 0 for row in rows if row["counted"] in ("numerator", "denominator")]
    return float(sum(above)), None if figure.denominator is None else float(sum(below))


@pytest.mark.slow
@pytest.mark.parametrize("path", [*scenario.FILES, *scenario.TRAPS], ids=lambda path: path.stem)
def test_the_records_shown_add_up_to_the_figure(path: Path) -> None:
    with scenario.shared(path) as (written, sources, reader):
        plan, at = scenario.plan(written, only=written["kpi"]), scenario.at(written["at"])
        kpi = plan.kpis[written["kpi"]]
        # Windows differ by two instants only, and each explanation takes a tenth of a second.
        figures = [
            figure
            for figure in evaluate(reader, plan, at, sources).figures
            if figure.kpi == kpi.name and figure.window in (written["window"], None)
        ]

        assert figures
        for figure in figures:
            asked = Question(
                kpi=kpi.name, window=figure.window or "7d", segment=dict(figure.segment), size=LARGEST_SIZE
            )
            answer = explain(reader, plan, at, sources, asked)
            numbers = answer["numbers"]
            per = DAYS[figure.window or "1d"] if kpi.per == "day" else 1

            assert (numbers["numerator"], numbers["denominator"]) == pytest.approx(
                (figure.numerator, figure.denominator)
            )
            if kpi.kind != "derived" and kpi.aggregate == "sum":
                above, below = counted(answer, figure)
                assert (above / per, below) == pytest.approx((figure.numerator, figure.denominator))
            if kpi.kind == "duration":
                amounts = [row["amount"] for row in answer["records"] if row["counted"] == "numerator"]
                assert amounts
                assert numbers["median"] == pytest.approx(median(amounts))
                assert figure.median == pytest.approx(median(amounts))
            if kpi.kind == "derived":
                assert [part["kpi"] for part in answer["parts"]]


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["deflection_ratio", "roi_ratio", "mttr_seconds", "backlog", "funnel_conversion_ratio"]
)
def test_with_the_published_evaluation_or_what_is_kept_an_explanation_is_the_same(store: Store, name: str) -> None:
    case = Case(scenario.load(scenario.FOLDER / f"{name}.yaml"), store)
    published = case.evaluate()
    segments = [dict(figure.segment) for figure in published.figures if figure.kpi == name][:2]

    assert segments
    explained = [case.explain(segment=segment) for segment in ({}, *segments)]
    case.store.keep(source.source for source in case.sources)
    assert explained == [case.explain(segment=segment, known=published) for segment in ({}, *segments)]


def test_a_segment_may_be_named_as_it_is_published_or_by_its_column() -> None:
    plan = scenario.plan({"labels": ["service"]})

    asked = [question({"kpi": "mttr_seconds", label: "mail"}, plan) for label in ("app_service", "service")]

    assert [each.segment for each in asked] == [{"service": "mail", "basis": "calendar"}] * 2


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({}, "give a kpi"),
        ({"kpi": "nothing"}, "'nothing' is not configured"),
        ({"kpi": "no_show_ratio", "window": "2d"}, "window '2d' is not configured"),
        ({"kpi": "no_show_ratio", "page": "0"}, "page '0'"),
        ({"kpi": "no_show_ratio", "size": "51"}, "size '51'"),
        ({"kpi": "no_show_ratio", "at": "noon"}, "write a time"),
        ({"kpi": "mttr_seconds", "basis": "working"}, "choose one of calendar, business"),
        ({"kpi": "no_show_ratio", "counted": "twice"}, "counted 'twice'"),
    ],
)
def test_a_question_without_an_answer_says_why(query: dict[str, str], said: str) -> None:
    with pytest.raises(Unexplained, match=said):
        question(query, scenario.plan({}))


def test_a_label_that_a_kpi_does_not_have_is_left_out_by_a_click(store: Store) -> None:
    case = Case(scenario.load(scenario.FOLDER / "no_show_ratio.yaml"), store)

    with pytest.raises(Unexplained, match="no_show_ratio has no label app_service; its labels are: ") as refused:
        case.explain(segment={"team": "it", "service": "mail"})

    [(text, query)] = refused.value.choices
    assert text == "no_show_ratio whatever the app_service"
    assert "app_service" not in query
    assert query["team"] == "it"


def test_business_time_without_a_calendar_is_not_explained_and_calendar_time_is_the_first_choice(store: Store) -> None:
    case = Case(scenario.load(Path(__file__).parent / "scenarios/mtta_seconds.yaml"), store)

    assert case.explain()["numbers"] == case.explain(segment={"basis": "calendar"})["numbers"]
    with pytest.raises(Unexplained, match="no calendar is configured"):
        case.explain(segment={"basis": "business"})


BOOKINGS: dict[str, Any] = {
    "kpi": "no_show_ratio",
    "at": "2026-03-31T00:00:00Z",
    "window": "7d",
    "labels": ["channel", "team"],
    "booking": [
        {
            "id": f"b{i:03}",
            "url": f"https://calendar.example/{i}",
            "starts_at": "2026-03-30T10:00:00Z",
            "outcome": ("no_show", "attended", "unknown")[i % 3],
            "host": "someone@corp.example",
            "channel": "web",
            "team": None if i % 2 else "it",
        }
        for i in range(120)
    ],
}


def test_records_come_in_pages_that_together_hold_each_once(store: Store) -> None:
    case = Case(BOOKINGS, store)

    pages = [case.explain(size=50, page=page) for page in (1, 2, 3)]

    ids = [row["id"] for page in pages for row in page["records"]]
    assert [len(page["records"]) for page in pages] == [50, 50, 20]
    assert sorted(ids) == sorted({row["id"] for row in BOOKINGS["booking"]})
    assert {3} == {page["pages"] for page in pages}


def test_what_is_not_counted_says_why_not(store: Store) -> None:
    rows = Case(BOOKINGS, store).explain(counted="no")["records"]

    assert len(rows) == 40
    assert {"outside: attended or no_show"} == {row["why"] for row in rows}


def test_unassigned_means_no_value_and_other_cannot_be_exact(store: Store) -> None:
    case = Case(BOOKINGS, store)

    unassigned, other = (case.explain(segment={"team": team}) for team in ("unassigned", "other"))

    assert {None} == {row["team"] for row in unassigned["records"]}
    assert len(unassigned["records"]) == 60
    assert ["cannot be explained exactly" in note for note in other["notes"]] == [True]


def test_two_currencies_are_never_added_up(store: Store) -> None:
    rows = [
        {**row, "outcome": "attended", "value": 100.0 if i % 3 else 7.0, "currency": "EUR" if i % 3 else "USD"}
        for i, row in enumerate(BOOKINGS["booking"])
    ]
    case = Case({**BOOKINGS, "kpi": "revenue_per_booking", "booking": rows}, store)

    most, other = case.explain(), case.explain(segment={"currency": "USD"})

    assert (most["segment"], most["apart"]) == ({"currency": "EUR"}, {"currency": ["EUR", "USD"]})
    assert numbers(most)["value"] == "100.00 EUR = 8,000.00 EUR / 80"
    assert numbers(other)["value"] == "7.00 USD = 280.00 USD / 40"
    [(label, links)] = page(most)["apart"]
    assert label == "currency"
    assert [(name, f"currency={name}" in href, shown) for name, href, shown in links] == [
        ("EUR", True, True),
        ("USD", True, False),
    ]


CLAIMS = {
    "kpi": "value",
    "at": "2026-03-31T00:00:00Z",
    "window": "7d",
    "settings": {
        "workflows": {
            "w": {"manual_seconds_low": 3600, "rate": 100, "currency": "EUR", "claim": "hard_cost_avoided"},
            "v": {"manual_seconds_low": 3600, "rate": 100, "currency": "EUR", "claim": "productivity_gained"},
        },
        "costs": [
            {"amount": 7, "currency": "EUR", "per": "day", "kind": "licence", "begins_at": "2026-03-30T00:00:00"}
        ],
    },
    "run": [
        {"id": str(i), "workflow": "wwv"[i], "status": "succeeded", "finished_at": "2026-03-30T10:00:00Z"}
        | {"started_at": "2026-03-30T09:00:00Z", "team": "it"}
        for i in range(3)
    ],
}


def test_claims_are_never_added_up(store: Store) -> None:
    case = Case(CLAIMS, store)

    most, other = case.explain(), case.explain(segment={"claim": "productivity_gained"})

    assert (most["segment"]["claim"], most["numbers"]["numerator"]) == ("hard_cost_avoided", 200)
    assert (other["segment"]["claim"], other["numbers"]["numerator"]) == ("productivity_gained", 100)
    claims = dict(page(most)["apart"])["claim"]
    assert [(name, shown) for name, _, shown in claims] == [("hard_cost_avoided", True), ("productivity_gained", False)]
    assert [(each["split"]["claim"], each["value"]) for each in case.rows("value", "7d")] == [
        ("hard_cost_avoided", 200),
        ("productivity_gained", 100),
    ]


def test_handoffs_of_a_funnel_are_never_added_up(store: Store) -> None:
    lead, booked = "2026-03-29T10:00:00Z", "2026-03-29T11:00:00Z"
    deals = [
        {"id": str(i), "lead_at": lead, "contacted_at": lead, "booked_at": booked if i else None} for i in range(4)
    ]
    asked = {"kpi": "funnel_conversion_ratio", "at": BOOKINGS["at"], "window": "7d", "opportunity": deals}
    case = Case({"labels": ["team"], **asked}, store)

    found = case.explain()

    assert list(found["segment"].items()) == [("from", "contacted"), ("to", "booked")]
    # Another stage is not looked for among those that went on to the one shown.
    stages = dict(page(found)["apart"])["from"]
    assert [(name, "to=" in href) for name, href, _ in stages] == [
        ("booked", False),
        ("contacted", False),
        ("lead", False),
    ]
    assert found["numbers"]["denominator"] == 4
    assert {(each["split"]["from"], each["split"]["to"], each["n"]) for each in case.rows(asked["kpi"], "7d")} == {
        ("lead", "contacted", 4),
        ("contacted", "booked", 4),
        ("booked", "attended", 3),
    }


def test_teams_of_two_tools_are_never_added_up(store: Store) -> None:
    account = {"granted_at": "2026-01-01T00:00:00Z", "last_active_at": "2026-03-30T00:00:00Z", "team": "it"}
    rows = [{"id": tool, "tool": tool, **account} for tool in ("crm", "wiki")]
    asked = {"kpi": "active_teams", "at": BOOKINGS["at"], "window": "7d", "account": rows}
    case = Case({"labels": [], **asked}, store)

    assert [(each["split"], each["value"]) for each in case.rows("active_teams", "7d")] == [
        ({"tool": "crm"}, 1),
        ({"tool": "wiki"}, 1),
    ]
    assert (case.explain()["segment"], case.explain()["numbers"]["numerator"]) == ({"tool": "crm"}, 1)


def test_what_is_configured_is_a_source_too(store: Store) -> None:
    found = Case({**CLAIMS, "kpi": "spend"}, store).explain()

    assert (found["absent"], found["numbers"]["numerator"]) == (None, 7)


def test_what_is_by_team_says_so_where_team_is_no_label(store: Store) -> None:
    asked = {**BOOKINGS, "kpi": "utilisation_ratio", "labels": {"request": ["category"]}, "booking": []}
    resolved = {"opened_at": "2026-03-30T10:00:00Z", "resolved_at": "2026-03-30T11:00:00Z", "outcome": "resolved"}
    worked = [
        {"id": team, "team": team, "handled_by": "human", "human_seconds": 600, **resolved} for team in ("it", "hr")
    ]
    teams = {"teams": {"it": {"capacity_seconds_per_week": 7000, "people": 4}}}
    case = Case({**asked, "request": worked, "settings": teams}, store)

    assert case.explain()["absent"] == "no_team_label"
    assert case.figures() == []


def test_an_amount_that_is_a_column_of_the_record_is_shown_once(store: Store) -> None:
    deals = [{"id": "a", "lead_at": "2026-03-30T10:00:00Z", "amount": 5.0, "currency": "EUR", "team": "it"}]
    asked = {"kpi": "pipeline_amount", "at": BOOKINGS["at"], "window": "7d", "opportunity": deals}

    found = Case({"labels": ["team"], **asked}, store).explain()

    assert found["columns"].count("amount") == 1
    assert page(found)["records"][0]["cells"].count(("amount", "5", None)) == 1


def test_the_page_says_which_threshold_is_broken(store: Store) -> None:
    answer = Case(BOOKINGS, store).explain()

    def says(**levels: float) -> tuple[str, str]:
        found = page(answer | {"threshold": levels})["verdict"]
        return found.level, found.text

    assert says(warning=0.1, critical=0.9) == ("warning", "Beyond the warning threshold (warning above 10.0%).")
    assert says(critical=0.45) == (
        "unsure",
        "Beyond the critical threshold (critical above 45.0%), but with 80 bookings not certain: no alert.",
    )
    assert says(warning=0.9) == ("good", "Within its thresholds (warning above 90.0%).")
    assert says() == ("", "")


def test_the_page_says_in_a_sentence_how_the_value_is_computed(store: Store) -> None:
    answer = Case(BOOKINGS, store).explain()

    assert page(answer)["formula"] == "40 of 80 bookings in the last 7d: 50.0%."
    assert page(answer | {"threshold": {"critical": 0.3}, "target": 0.2})["limits"] == [
        "critical above 30.0%",
        "target at most 20.0%",
    ]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("resolution_seconds", r"The mean over \d+ requests in the last 7d: .+ / \d+ = .+\."),
        ("requests", r"\d+ requests counted in the last 7d\."),
        ("deployment_frequency", r"\d+ changes counted in the last 7d: .+ a day\."),
        ("backlog", r"\d+ requests? now|\d+ requests? counted now\."),
        ("spend", r"The sum over \d+ (cost|row)s in the last 7d: .+ EUR\."),
        ("cost_per_run", r".+ \(.+\) divided by .+ \(.+\): .+\."),
    ],
)
def test_each_kind_of_kpi_has_its_sentence(store: Store, name: str, said: str) -> None:
    answer = Case(scenario.load(scenario.FOLDER / f"{name}.yaml"), store).explain()

    assert re.fullmatch(said, page(answer)["formula"])


def test_values_of_a_label_are_links_the_worst_first(store: Store) -> None:
    answer = Case(BOOKINGS, store).explain()
    choices = [{**each, "threshold": {"critical": 0.3}} for each in answer["segments"]["team"]]
    good = {**choices[0], "name": "all well", "numerator": 1.0, "denominator": 99.0, "value": 0.01, "lower": 0.0}
    page_of = page(answer | {"segments": {"team": [good, *choices]}})
    [picker] = page_of["pickers"]

    assert [(row["name"], row["text"], row["n"], row["level"]) for row in picker["first"]] == [
        ("it", "50.0%", "40", "critical"),
        ("unassigned", "50.0%", "40", "critical"),
        ("all well", "1.0%", "99", ""),
    ]
    assert picker["first"][0]["href"] == "/explain?kpi=no_show_ratio&window=7d&team=it"


def test_a_value_of_a_label_that_is_nowhere_is_answered_with_those_there_are(store: Store) -> None:
    case = Case(BOOKINGS, store)
    there = [each["name"] for each in case.explain()["segments"]["team"]]

    with pytest.raises(Unexplained, match="team 'nobody' has no values of no_show_ratio") as refused:
        case.explain(segment={"team": "nobody"}, known=case.evaluate())

    assert [(name, {"kpi": "no_show_ratio", "window": "7d", "team": name}) for name in there] == refused.value.choices


def test_a_label_that_a_kpi_does_not_have_is_refused(store: Store) -> None:
    with pytest.raises(Unexplained, match="no label host; its labels are: channel, team"):
        Case(BOOKINGS, store).explain(segment={"host": "someone@corp.example"})


@pytest.mark.parametrize("name", ["requests", "value", "open_incidents"])
def test_what_no_source_gives_records_for_is_no_value_and_not_0(store: Store, name: str) -> None:
    case = Case({"kpi": name, "window": "7d", "at": "2026-03-31T00:00:00Z"}, store)
    answer = case.explain()
    shown = page(answer | {"history": None})

    assert (answer["absent"], answer["numbers"], answer["segments"]) == ("no_source", None, {})
    assert (shown["value"], shown["formula"], shown["verdict"].text) == ("no value", "", "")


def test_a_value_that_is_withheld_is_not_called_within_its_thresholds(store: Store) -> None:
    case = Case(scenario.load(scenario.FOLDER / "no_show_ratio.yaml"), store)
    case.sources = [replace(each, stale=True) for each in case.sources]
    answer = case.explain()

    assert (answer["absent"], answer["numbers"]) == ("stale_source", None)
    assert page(answer | {"history": None})["verdict"].level == ""


def test_no_person_is_shown(store: Store) -> None:
    answer = Case(BOOKINGS, store).explain()

    assert {column for record in RECORDS.values() for column in person_columns(record)}.isdisjoint(answer["columns"])
    assert "corp.example" not in json.dumps(answer)


def test_csv_holds_every_page_and_no_formula() -> None:
    pages = [{"pages": 2, "columns": ["id"], "records": [{"id": text}]} for text in ("=1+1", "b")]

    found = csv_text(every_page(lambda number: pages[number - 1]))

    assert found == "id\n'=1+1\nb\n"


@pytest.mark.parametrize(
    ("address", "host", "shown"),
    [
        ("127.0.0.1", "localhost", True),
        ("::ffff:127.0.0.1", "127.0.0.1", True),
        ("::1", "::1", True),
        ("192.0.2.1", "192.0.2.1", False),
        ("192.0.2.1", "localhost", False),
        ("127.0.0.1", "evil.example", False),
    ],
)
def test_without_users_records_stay_on_this_machine(address: str, host: str, shown: bool) -> None:
    gate = Gate(None)

    assert shown is (gate.keeps_records(address, host, passed_on=False) is None)
    gate.close()


def test_with_users_records_are_shown_anywhere(tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text(f"basic_auth_users: {{ann: '{'$2y$04$' + 'a' * 53}'}}\n")
    gate = Gate(tmp_path / "web.yaml")

    assert gate.keeps_records("192.0.2.1", "outcomes.example", passed_on=True) is None
    gate.close()


@pytest.mark.parametrize(
    ("value", "lower", "limits", "said"),
    [
        (0.4, 0.3, {"warning": 0.2, "critical": 0.35}, "warning"),
        (0.4, 0.36, {"warning": 0.2, "critical": 0.35}, "critical"),
        (0.4, 0.1, {"warning": 0.2}, "beyond, but few records"),
        (0.1, 0.0, {"warning": 0.2, "critical": None}, "within"),
        (0.4, 0.1, {"warning": None}, ""),
        (None, None, {"warning": 0.2}, "within"),
    ],
)
def test_a_threshold_is_broken_surely_or_only_by_the_value(
    value: float | None, lower: float | None, limits: dict[str, float | None], said: str
) -> None:
    assert against({"value": value, "lower": lower, "better": "lower", "threshold": limits}) == said


def test_a_record_of_several_services_counts_once_wherever_services_are_added_up(store: Store) -> None:
    written = scenario.load(scenario.FOLDER / "trap" / "an_incident_of_several_services.yaml")
    case = Case(written, store)

    whole = case.explain()
    chat = case.explain(segment={"service": "chat"})
    [row] = case.rows("incidents", "7d")

    assert (whole["numbers"]["numerator"], row["value"]) == (4, 4)
    assert [(each["id"], each["service"]) for each in chat["records"]] == [("a", "chat, mail"), ("c", "chat, wiki")]
    assert chat["numbers"]["numerator"] == 2


def test_what_is_made_of_such_counts_is_of_each_service_and_once_of_all(store: Store) -> None:
    made = catalogue()["incidents"].model_copy(
        update={"name": "incidents_twice", "kind": "derived", "numerator": "incidents", "minus": None, "several": None}
    )
    case = Case(scenario.load(scenario.FOLDER / "trap" / "an_incident_of_several_services.yaml"), store)
    settings = [s for s in case.plan.settings if s.kpi.name == "incidents"]
    case.plan = replace(case.plan, settings=[*settings, Setting(kpi=made)])

    [row] = case.rows("incidents_twice", "7d")
    by_service = case.explain(kpi="incidents_twice", segment={"service": "mail"})

    assert row["value"] == 4
    assert case.explain(kpi="incidents_twice")["numbers"]["numerator"] == 4
    assert by_service["numbers"]["numerator"] == 2


@pytest.mark.parametrize(
    ("name", "people"), [("claim_gap_ratio", False), ("claim_gap_cost", False), ("deflection_ratio", True)]
)
def test_what_did_not_hold_names_the_request_with_which_somebody_came_back(
    name: str, people: bool, store: Store
) -> None:
    again = [
        {"id": "later", "opened_at": "2026-03-30T04:00:00Z", "handled_by": "human", "url": "https://desk/later"},
        {"id": "bot", "opened_at": "2026-03-30T03:00:00Z", "handled_by": "automation", "outcome": "open"},
        {"id": "other", "opened_at": "2026-03-30T02:00:00Z", "handled_by": "human", "category": "payroll"},
    ]
    first = {"id": "first", "opened_at": "2026-03-30T00:00:00Z", "resolved_at": "2026-03-30T01:00:00Z"}
    first |= {"outcome": "resolved", "claimed_resolved": True, "handled_by": "automation"}  # type: ignore[dict-item]
    rows = [{"requester": "ann", "category": "access", **each} for each in (first, *again)]
    case = {"kpi": name, "at": "2026-03-31T00:00:00Z", "window": "7d", "settings": {"recontact_window": "72h"}}
    case["settings"]["sources"] = {"request": {"claimed_resolution_price": 1.5, "currency": "USD"}}  # type: ignore[index]

    records = {row["id"]: row for row in Case({**case, "request": rows}, store).explain()["records"]}

    came_back = ("later", "https://desk/later") if people else ("bot", None)
    assert (records["first"]["again_id"], records["first"]["again_url"]) == came_back


@pytest.mark.parametrize(
    ("name", "upper"),
    [
        ("total_net_value", "225.00 EUR"),
        ("hard_value", "300.00 EUR"),
        ("time_saved_seconds", "4.0 h (0.5 person-days)"),
    ],
)
def test_an_explanation_says_what_a_value_is_at_the_upper_end_of_manual_time(
    name: str, upper: str, store: Store
) -> None:
    worth = {"manual_seconds_low": 3600, "manual_seconds_high": 7200, "rate": 75, "currency": "EUR"}
    times = {"started_at": "2026-03-30T09:00:00Z", "finished_at": "2026-03-30T10:00:00Z"}
    paid = {"period_start": "2026-03-30T00:00:00Z", "period_end": "2026-03-30T00:00:00Z", "amount": 75.0}
    case = {
        "kpi": name,
        "at": "2026-03-31T00:00:00Z",
        "window": "7d",
        "settings": {"workflows": {"w": {**worth, "claim": "hard_cost_avoided"}}},
        "run": [{"id": each, "workflow": "w", "status": "succeeded", **times} for each in ("a", "b")],
        "cost": [{"id": "a", "currency": "EUR", "kind": "licence", **paid}],
    }

    answer = Case(case, store).explain()

    assert assumed(answer)[0] == f"at the upper end of manual time: {upper}"
