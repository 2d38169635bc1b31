"""Every KPI against records written down by hand: what a file in scenarios/ says is what comes out."""

from pathlib import Path

import pytest

from exporter import kpi
from tests import scenario

FILES = sorted((Path(__file__).parent / "scenarios").glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_scenario_comes_out_as_written(path: Path, tmp_path: Path) -> None:
    written = scenario.load(path)

    expected = scenario.expected(written)
    found = scenario.samples(scenario.evaluated(written, tmp_path), written)
    declared = kpi.catalogue()[written["kpi"]]
    # The main series and its parts are always compared, bounds and buckets where the file speaks of them.
    spoken_of = {name for name, _ in expected} | {
        declared.metric,
        f"{declared.stem}_numerator",
        f"{declared.stem}_denominator",
    }
    actual = {sample: value for sample, value in found.items() if sample[0] in spoken_of}

    assert expected
    assert {sample: pytest.approx(value, abs=1e-9) for sample, value in expected.items()} == actual


def test_every_kpi_has_a_scenario() -> None:
    covered = {scenario.load(path)["kpi"] for path in FILES}

    assert set(kpi.catalogue()) == covered
