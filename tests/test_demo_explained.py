"""Explanations on the demo's store: of every KPI the records shown come to the figure that is published."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from exporter.catalogue.kpi import Kpi, catalogue, non_additive
from exporter.cli.terminal import every_page
from exporter.config import Config, read_config
from exporter.explain.query import LARGEST_SIZE, question
from exporter.runtime import OnceResult, explained, open_store, statuses
from exporter.store import Store
from tests.demo import END, found_in

pytestmark = pytest.mark.slow

Labels = Mapping[str, str]
Samples = Sequence[tuple[Labels, float]]


class Explained:
    """The demo's figures as published, and its store to explain them from."""

    def __init__(self, path: Path, store: Store) -> None:
        self.config: Config = read_config(path)
        self.store = store
        self.sources = statuses(self.config, store, END)
        self.found: OnceResult = found_in(self.config, store, END)
        self.samples = {family.name: family for family in self.found.published.snapshot.families}

    def published(self, name: str, window: str) -> Samples:
        """The samples of a series in one window, or now, by the labels of the segment."""
        family = self.samples[name]
        told = [(values, value) for values, value in family.samples if isinstance(value, float)]
        found = [(dict(zip(family.labels, values, strict=True)), value) for values, value in told]
        return [(labels, value) for labels, value in found if labels.pop("window", window) == window]

    def explain(self, kpi: Kpi, segment: Labels) -> dict[str, Any]:
        def page(number: int) -> dict[str, Any]:
            query = {"kpi": kpi.name, **segment, "page": str(number), "size": str(LARGEST_SIZE)}
            asked = question(query, self.config.plan, most=LARGEST_SIZE)
            return explained(self.config, self.store, END, self.sources, asked)

        return every_page(page)


@pytest.fixture(scope="module")
def demo(demo_config: Path) -> Iterator[Explained]:
    with open_store(read_config(demo_config)) as store:
        yield Explained(demo_config, store)


def added_up(kpi: Kpi, samples: Samples, segment: Labels) -> float:
    # What splits the numerator only is no label of the denominator.
    known = {label for labels, _ in samples for label in labels}
    wanted = {(label, value) for label, value in segment.items() if label in known or label not in kpi.numerator_labels}
    found = [value for labels, value in samples if wanted <= labels.items()]
    return max(found) if kpi.aggregate == "max" else sum(found)


def shown(kpi: Kpi, records: Sequence[Mapping[str, Any]]) -> tuple[float, float | None]:
    """The numerator and denominator that the records shown come to; what is not known adds nothing."""
    above = [row.get("amount", 1) or 0 for row in records if row["counted"] == "numerator"]
    below = [row.get("weight", 1) or 0 for row in records if row["counted"] in ("numerator", "denominator")]
    total = float(max(above, default=0) if kpi.aggregate == "max" else sum(above))
    days = int(kpi.window.removesuffix("d")) if kpi.per == "day" else 1
    return total / days, float(sum(below)) if kpi.kind in ("ratio", "mean", "duration") else None


def of_parts(kpi: Kpi, parts: Sequence[Mapping[str, Any]]) -> tuple[float, float | None]:
    """The numerator and denominator of a derived KPI that its parts come to; a part without a figure adds nothing."""
    amounts = [(part["numbers"] or {}).get(part["part"]) or 0.0 for part in parts]
    above = amounts[0] - (amounts[1] if kpi.minus else 0.0)
    length = int(kpi.window.removesuffix("d")) * 86_400
    divisor = {"second": length}.get(kpi.per, 1) if isinstance(kpi.per, str) else kpi.per or 1
    return above, amounts[-1] / divisor if kpi.denominator else None


@pytest.mark.parametrize("name", catalogue())
def test_the_records_shown_come_to_the_published_figure(demo: Explained, name: str) -> None:
    kpi = catalogue()[name]
    both = [series for series in (f"{kpi.stem}_numerator", f"{kpi.stem}_denominator") if series in kpi.series]
    upper, *lower = [demo.published(series, kpi.window) for series in both or [kpi.metric]]
    one = max(upper, key=lambda sample: sample[1])[0]
    whole = {label: value for label, value in one.items() if label in non_additive(kpi)}

    assert len(upper) > 0
    for segment in (whole, one) if whole != one else (one,):
        answer = demo.explain(kpi, segment)
        numbers = answer["numbers"]["numerator"], answer["numbers"]["denominator"]
        figure = added_up(kpi, upper, segment), added_up(kpi, lower[0], segment) if lower else None

        assert numbers == pytest.approx(figure)
        if kpi.kind != "derived":
            assert shown(kpi, answer["records"]) == pytest.approx(figure)
        elif segment is one or not kpi.only_matched_segments:  # of matched parts some have no segment in common
            assert of_parts(kpi, answer["parts"]) == pytest.approx(figure)
