"""What a change to KPIs, facts or names does to the SQL of every KPI and to the list of all series.

    python -m tests.snapshot        writes both to tests/snapshots/, as `make snapshots` does

tests/test_snapshots.py compares them, so that whoever reviews a change sees it in the diff.
"""

from array import array
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from exporter.catalogue.kpi import catalogue
from exporter.collect.selfmetrics import Health
from exporter.evaluation.calendar import Calendar
from exporter.evaluation.checks import COVERAGE, UNATTRIBUTED
from exporter.evaluation.compiled import Measure, compile_plan
from exporter.evaluation.figure import Evaluation, Figure, Past
from exporter.evaluation.plan import Baselines, Plan, Setting
from exporter.publish.cardinality import Limits
from exporter.publish.families import series
from exporter.publish.forecast import figures_of
from exporter.records import RECORDS
from tests.scenario import WINDOWS, params

UNLIMITED = Limits(series_per_metric=10**9, series=10**9, values_per_label=10**9, teams=10**9)
FOLDER = Path(__file__).parent / "snapshots"
Said = tuple[str, tuple[str, ...], str]
"""Type, labels, help."""
AT = datetime(2026, 1, 1, tzinfo=UTC)


def plan() -> Plan:
    """Every KPI with its default parameters, labels and thresholds, on every basis."""
    return Plan(
        settings=[
            Setting(
                kpi=each,
                params=params(each, {}),
                threshold=each.threshold,
                target=each.threshold.warning,
                baselines=Baselines(previous=True),
            )
            for each in catalogue().values()
        ],
        windows=sorted(WINDOWS.items(), key=lambda item: item[1]),
        labels={name: each.DEFAULT_LABELS for name, each in RECORDS.items()},
        calendars={"always": Calendar(time_zone="UTC", week=(((0, 1440),),) * 7)},
    )


def sql() -> str:
    """Every measure: where its rows are from, which count, what they add."""
    compiled = compile_plan(plan())
    found = []
    for name, measure in compiled.by_name.items():
        found += [f"## {name} ({measure.kpi.kind})", f"labels: {', '.join(measure.labels)}"]
        for each in compiled.bases.get(name, ()):
            found += ["", *([f"{label}: {value}" for label, value in each.fixed]), *_formula(each)]
        found += [f"{key}: {part}" for key, part in _parts(measure)]
        found.append("")
    for check in compiled.checks:
        found += [f"## {dict(check.about)}", *_formula(check.measure), ""]
    return "\n".join(found)


def _formula(measure: Measure) -> Iterator[str]:
    kpi, made = measure.kpi, measure.formula
    assert made
    yield f"facts: {kpi.facts}, placed by {kpi.placed_by}, {kpi.numerator_placed_by}"
    yield f"counted: {made.counted}"
    yield f"above: {made.above}"
    yield f"numerator: {made.numerator}"
    yield f"denominator: {made.denominator}"
    if kpi.kind == "duration":
        yield f"values: {made.values}"
    yield from (f"refused: {reason} ({condition})" for condition, reason in made.refusals)


def _parts(measure: Measure) -> Iterator[tuple[str, str]]:
    for key in ("numerator", "minus", "denominator"):
        if part := getattr(measure, key):
            yield key, str(part.reference)


def families() -> dict[str, Said]:
    """Series -> type, labels, help: of all KPIs and of the exporter itself."""
    made = plan()
    compiled = compile_plan(made)
    figures = [figure for measure in compiled.by_name.values() for figure in some(measure, made)]
    checks = [
        Figure(each.measure.name, "7d", (*(("source", "s") for _ in each.measure.labels), *each.about), 0.0, 1.0)
        for each in compiled.checks
    ]
    evaluation = Evaluation(
        AT,
        tuple(figures),
        {"requests": "no_source"},
        baselines=Past({"previous": (tuple(figures),)}),
        coverage=tuple(each for each in checks if each.kpi == COVERAGE),
        unattributed=tuple(each for each in checks if each.kpi == UNATTRIBUTED),
    )
    snapshot = series(evaluation, made, UNLIMITED).snapshot
    found: dict[str, Said] = {each.name: (each.kind, each.labels, each.help) for each in snapshot.families}
    return found | own()


def some(measure: Measure, made: Plan) -> Iterator[Figure]:
    """A figure in the first segment that there may be, with all that can be published for it."""
    first = next(figures_of(measure, made))
    values = (array("d", [1.0]),) if measure.kpi.kind == "duration" else ()
    filled = replace(first, denominator=None if first.denominator is None else 1.0, values=values)
    yield filled
    if measure.kpi.several in measure.labels:
        segment = tuple(pair for pair in filled.segment if pair[0] != measure.kpi.several)
        yield replace(filled, segment=segment, whole=True)


def own() -> dict[str, Said]:
    """What the exporter says about itself; labels as far as they are known before anything happens."""
    health = Health(version="0")
    health.sources.watch("s", kind="files", interval_seconds=60, records=RECORDS, columns=["team"])
    found: dict[str, Said] = {}
    for metric in health.registry.collect():
        labels = sorted({label for sample in metric.samples for label in sample.labels})
        if metric.name.startswith("outcome_"):
            found[metric.name] = (metric.type, tuple(labels), metric.documentation)
    return found


def listed() -> str:
    """Every series, two lines each; the help of a KPI stands in full beside its main one."""
    helps = {name: each.help for each in catalogue().values() for name in each.all_series - {each.metric}}
    lines = []
    for name, (kind, labels, text) in sorted(families().items()):
        told = text.replace(helps[name], "{help}") if name in helps else text
        lines += [f"{name} {kind} {{{', '.join(labels)}}}", f"    {told}"]
    return "\n".join(lines) + "\n"


FILES = {"sql.txt": sql, "series.txt": listed}

if __name__ == "__main__":
    for name, write in FILES.items():
        (FOLDER / name).write_text(write())
