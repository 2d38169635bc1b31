"""The SQL of every KPI and the list of all series are as last reviewed."""

import pytest

from exporter.catalogue.kpi import catalogue
from exporter.publish.anomaly import PARTS
from tests.snapshot import FILES, FOLDER, families


@pytest.mark.parametrize("name", FILES)
def test_a_snapshot_is_as_last_reviewed(name: str) -> None:
    found, reviewed = FILES[name](), (FOLDER / name).read_text()

    assert found == reviewed, f"tests/snapshots/{name}: `make snapshots`, then review the diff"


def test_the_snapshot_has_every_series_that_a_kpi_can_have() -> None:
    promised = {name for each in catalogue().values() for name in each.all_series if not name.endswith("_bucket")}
    # A KPI has thresholds and a target only where they are configured, and a usual day only after weeks.
    levels = {name for name in promised if name.endswith(("_threshold", "_target", *PARTS))}

    assert promised - levels <= families().keys()
