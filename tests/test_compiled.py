"""A plan is made ready once: its measures, what they are made of, and the rows behind them."""

from dataclasses import replace
from pathlib import Path

import pytest

from exporter.catalogue.kpi import catalogue, reference
from exporter.evaluation.compiled import compile_plan, narrowed
from exporter.evaluation.context import utc
from exporter.evaluation.figure import summable
from exporter.evaluation.instant import evaluate
from exporter.evaluation.plan import Plan, Setting
from exporter.evaluation.rows import RowSource
from tests import scenario
from tests.scenario import WINDOWS, empty_store, params


def plan() -> Plan:
    return Plan(
        settings=[Setting(kpi=each, params=params(each, {})) for each in catalogue().values()],
        windows=sorted(WINDOWS.items(), key=lambda item: item[1]),
        labels={},
    )


def test_a_plan_is_compiled_once() -> None:
    whole = plan()

    assert compile_plan(whole) is compile_plan(whole)
    assert compile_plan(replace(whole)) is not compile_plan(whole)


def test_what_is_derived_refers_to_the_measures_of_its_parts() -> None:
    compiled = compile_plan(plan())

    derived = [each for each in compiled.by_name.values() if each.kpi.kind == "derived"]
    assert derived
    for measure in derived:
        assert [part.measure for part in measure.parts] == [compiled.by_name[p.reference.kpi] for p in measure.parts]
        assert measure.names == {measure.name}.union(*(part.names for part in measure.below))
        assert compiled.bases.get(measure.name) is None


def test_a_part_that_is_switched_off_is_none() -> None:
    whole = plan()
    name = next(s.kpi.name for s in whole.settings if s.kpi.kind == "derived")
    alone = replace(whole, settings=[s for s in whole.settings if s.kpi.name == name])
    measure = compile_plan(alone).by_name[name]

    assert {part.measure for part in measure.parts} == {None}
    assert measure.labels == ()


def test_a_duration_is_measured_on_each_basis_once() -> None:
    compiled = compile_plan(plan())

    for name, bases in compiled.bases.items():
        assert bases[0] is compiled.by_name[name]
        assert len({each.key for each in bases}) == len(bases)
    assert compiled.bases["mttr_seconds"][0].basis == "calendar"
    assert [each.basis for each in compiled.bases["requests"]] == [None]


def test_a_narrowed_plan_has_what_its_kpis_are_made_of() -> None:
    whole = plan()
    compiled = compile_plan(whole)
    for name, measure in compiled.by_name.items():
        assert {setting.kpi.name for setting in narrowed(whole, {name}).settings} == measure.names


@pytest.mark.parametrize(
    ("text", "kpi", "part"), [("spent", "spent", ""), ("a_ratio.denominator", "a_ratio", "denominator")]
)
def test_a_reference_is_read_and_written(text: str, kpi: str, part: str) -> None:
    assert reference(text) == (kpi, part)
    assert str(reference(text)) == text


@pytest.mark.slow
@pytest.mark.parametrize("path", scenario.FILES[::12], ids=lambda path: path.stem)
def test_the_rows_behind_a_figure_add_up_to_it(path: Path, tmp_path: Path) -> None:
    written = scenario.load(path)
    made, at = scenario.plan(written, only=written["kpi"]), scenario.at(written["at"])
    window, seconds = written.get("window", "90d"), WINDOWS[written.get("window", "90d")]
    with empty_store(tmp_path) as store, store.reading() as reader:
        sources = scenario.fed(store, written)
        figures = summable(evaluate(reader, made, at, sources).figures)  # makes the macros, too
        for measure in (each for bases in compile_plan(made).bases.values() for each in bases):
            rows = RowSource(measure=measure, plan=made, at=utc(at), seconds=seconds, segment={})
            query = f"select {rows.sums.numerator}, {rows.sums.denominator or 'null'} from ({rows.sql()})"
            n, d = reader.execute(query).fetchall()[0]
            mine = [f for f in figures if f.kpi == measure.name and f.window in (window, None)]
            mine = [f for f in mine if {*measure.fixed} <= {*f.segment}]
            days = seconds / 86400 if measure.kpi.per == "day" else 1
            if mine and measure.kpi.aggregate == "sum":
                assert sum(f.numerator for f in mine) == pytest.approx(float(n) / days)
                assert sum(f.denominator or 0 for f in mine) == pytest.approx(float(d or 0))
