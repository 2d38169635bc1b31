"""What figures of money rest on, as the config says it."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from exporter.catalogue.kpi import catalogue
from exporter.evaluation.assumptions import assumptions, concerning
from exporter.evaluation.compiled import compile_plan
from exporter.evaluation.plan import Plan, ServiceSetting, Setting, SourceSetting, WorkflowSetting
from exporter.evaluation.stats import Snapshot
from exporter.publish.exposition import check
from exporter.publish.families import assumed
from tests.scenario import params

PLAN = Plan(
    settings=(),
    windows=(),
    labels={},
    shared_cost="time_saved",
    workflows={
        "Invoice intake": WorkflowSetting(
            manual_seconds_low=480,
            manual_seconds_high=720,
            manual_origin="time study",
            rate=38,
            currency="EUR",
            claim="hard_cost_avoided",
        ),
        "Password reset": WorkflowSetting(
            manual_seconds_low=600, manual_seconds_high=600, manual_origin="estimate", category="access"
        ),
        "Nightly": WorkflowSetting(run_timeout_seconds=7200),
    },
    services={"shop": ServiceSetting(downtime_cost_per_hour=5000, currency="EUR")},
    sources={
        "zendesk": SourceSetting(claimed_resolution_price=1.5, currency="USD"),
        "desk": SourceSetting(calendar="office"),
    },
)  # fmt: skip - a workflow is one thing


def test_every_assumption_of_a_plan_is_a_sentence() -> None:
    assert [each.sentence for each in assumptions(PLAN)] == [
        "shared cost: allocated by time saved",
        "claim of Invoice intake: hard cost avoided",
        "claimed resolution price of zendesk: 1.5 USD",
        "downtime cost of shop: 5000 EUR an hour",
        "manual time of Invoice intake: 8m to 12m, of which the lower end counts (time study)",
        "manual time of Password reset: measured on requests of category access; else 10m (estimate)",
        "rate of Invoice intake: 38 EUR an hour",
    ]


def test_where_nothing_is_configured_shared_cost_is_not_allocated() -> None:
    assert [each.sentence for each in assumptions(Plan(settings=(), windows=(), labels={}))] == [
        "shared cost: not allocated"
    ]


def test_they_are_published_with_a_word_for_what_is_not_said() -> None:
    family = assumed(PLAN)
    check(Snapshot(datetime(2026, 3, 31, tzinfo=UTC), (family,)))  # raises what would keep it from being published

    assert (family.name, family.labels) == ("outcome_assumption_info", ("assumption", "subject", "value", "origin"))
    assert (("rate", "Invoice intake", "38 EUR an hour", "none"), 1.0) in family.samples


OF_VALUE = {"manual_time", "rate", "claim"}


@pytest.mark.parametrize(
    ("name", "segment", "names"),
    [
        ("value", {}, OF_VALUE),
        ("hard_roi_ratio", {}, {*OF_VALUE, "shared_cost"}),
        ("cost_per_run", {}, {"manual_time", "shared_cost"}),  # what shared cost is allocated by
        ("time_saved_seconds", {}, {"manual_time"}),
        ("maintenance_ratio", {}, {"manual_time"}),
        ("downtime_cost", {"service": "shop"}, {"downtime_cost"}),
        ("claim_gap_cost", {}, {"claimed_resolution_price"}),
        ("claim_gap_cost", {"vendor": "desk"}, set()),
        ("completion_ratio", {}, set()),
    ],
)
def test_a_kpi_has_the_assumptions_that_its_value_rests_on(name: str, segment: dict[str, str], names: set[str]) -> None:
    plan = replace(
        PLAN,
        settings=[Setting(kpi=kpi, params=params(kpi, {})) for kpi in catalogue().values()],
        windows=[("7d", 604800)],
    )

    found = concerning(plan, compile_plan(plan).by_name[name], segment)

    assert {each.name for each in found} == names


def test_of_one_workflow_its_own_assumptions_count() -> None:
    plan = replace(
        PLAN, settings=[Setting(kpi=catalogue()["value"])], windows=[("7d", 604800)], labels={"run": ["workflow"]}
    )

    found = concerning(plan, compile_plan(plan).by_name["value"], {"workflow": "Invoice intake"})

    assert {each.subject for each in found} == {"Invoice intake"}
