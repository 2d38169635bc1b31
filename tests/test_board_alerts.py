"""What the first page lists as beyond a threshold is what the shipped rules alert about, of the same evaluation."""

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from shutil import which

import pytest
import yaml

from exporter.catalogue.kpi import Kpi, value_labels
from exporter.evaluation.figure import Evaluation, Figure
from exporter.explain.breaches import SEVERITIES, Breach, breaches
from exporter.publish.cardinality import Limits
from exporter.publish.families import series
from exporter.render.promql import alert_name
from tests import test_evaluate
from tests.test_rules import GUARDED, fine, terrible

ROOT = Path(__file__).parents[1]
AT = datetime(2026, 3, 31, 9, 30, tzinfo=UTC)
PLAN = test_evaluate.plan()
JUDGED = [kpi for kpi in GUARDED if kpi.threshold.model_dump(exclude_none=True)]
FIRING = 'count by (alertname, team, severity) (ALERTS{alertstate="firing"})'


def between(kpi: Kpi) -> float:
    """A value beyond the warning threshold, and not the critical one, as far as there are both."""
    levels = [level for level in (kpi.threshold.warning, kpi.threshold.critical) if level is not None]
    return sum(levels) / 2 if len(levels) == 2 else terrible(kpi)


def segments(kpi: Kpi) -> list[tuple[tuple[str, str], ...]]:
    """Of a team: two, where a KPI has a label that its alert adds up over, else one."""
    basis = (("basis", "business"),) if kpi.business else ()
    kept = tuple((label, "x") for label in value_labels(kpi, PLAN.kpis) if label != "team")
    free = [label for label in ("category", "service") if label not in dict(kept)][:1]
    return [(*kept, *basis, *((label, name) for label in free)) for name in ("a", "b")]


def figures(kpi: Kpi) -> Iterator[Figure]:
    """Teams that are far beyond, between, well, and beyond with few records; each in two segments, one of them 0."""
    window = kpi.window if kpi.windowed else None
    teams = {"far": (terrible(kpi), 1000.0), "between": (between(kpi), 1000.0), "well": (fine(kpi), 1000.0)}
    for team, (value, n) in (teams | {"few": (terrible(kpi), 2.0)}).items():
        for share, segment in zip((1.0, 0.0), segments(kpi), strict=True):
            parts = (n * value * share, n * share) if kpi.divided else (value * share, None)
            if kpi.divided or team != "few":
                yield Figure(kpi.name, window, (("team", team), *segment), *parts)


def fires(found: Breach) -> list[tuple[str, str, str]]:
    """(alert, team, severity) of a breach; what is critical is a warning, too."""
    name, levels = alert_name(PLAN.kpis[found.kpi]), PLAN.kpis[found.kpi].threshold.model_dump(exclude_none=True)
    return [(name, found.team or "", each) for each in SEVERITIES[SEVERITIES.index(found.severity) :] if each in levels]


@pytest.mark.skipif(which("promtool") is None, reason="promtool is not installed")
def test_alerts_fire_for_what_is_surely_beyond_a_threshold_and_for_nothing_else(tmp_path: Path) -> None:
    made = Evaluation(AT, tuple(figure for kpi in JUDGED for figure in figures(kpi)), {})
    listed = breaches(made, PLAN)
    names = {f"outcome-{kpi.name.replace('_', '-')}" for kpi in JUDGED}
    groups = yaml.load((ROOT / "alerts/kpi.rules.yaml").read_text(), Loader=yaml.CSafeLoader)["groups"]
    shipped = {"groups": [{**each, "interval": "5m"} for each in groups if each["name"] in names]}
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(shipped))
    inputs = [
        {"series": f"{family.name}{{job='o',instance='i',{labelled(family.labels, values)}}}", "values": f"{value}x15"}
        for family in series(made, PLAN, Limits()).snapshot.families
        for values, value in family.samples
        if isinstance(value, float)
    ]
    expected = sorted({each for found in listed if found.certain for each in fires(found)})
    samples = [
        {"labels": f'{{alertname="{name}", team="{team}", severity="{severity}"}}', "value": 1}
        for name, team, severity in expected
    ]
    check = {"expr": FIRING, "eval_time": "75m", "exp_samples": samples}
    test = {"interval": "5m", "input_series": inputs, "promql_expr_test": [check]}
    document = {"rule_files": ["rules.yaml"], "evaluation_interval": "5m", "tests": [test]}
    (tmp_path / "test.yaml").write_text(yaml.safe_dump(document))
    done = subprocess.run(
        ["promtool", "test", "rules", tmp_path / "test.yaml"], capture_output=True, text=True, check=False
    )

    assert {found.team for found in listed if found.certain} >= {"far", "between"}
    assert {found.team for found in listed if not found.certain} >= {"few"}
    assert (done.returncode, done.stderr) == (0, "")


def labelled(names: tuple[str, ...], values: tuple[str, ...]) -> str:
    """The labels of a series as text."""
    return ",".join(f"{name}='{value}'" for name, value in zip(names, values, strict=True))
