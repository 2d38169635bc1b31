"""Rules for a day that is unlike the same weekday otherwise, of a KPI that declares `spike`.

What is usual for a team is what its records of today would come to at the median of each of their segments: a morning
with other categories than usual is no spike. Only segments with a usual figure count, on both sides.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from exporter.catalogue.kpi import Kpi, Spike
from exporter.evaluation.breach import MIN_RECORDS
from exporter.render.promql import LAST, alert_name, looked_up, ratio, since, wilson


def spike_name(kpi: Kpi) -> str:
    """Escalation rate -> OutcomeEscalationRateSpike."""
    return alert_name(kpi, "Spike")


@dataclass(frozen=True)
class SpikeRules:
    """The rules of one KPI; `labels` is what tells the recorded series apart, `owner` the series that names it."""

    kpi: Kpi
    spike: Spike
    labels: tuple[str, ...]
    owner: str

    def recordings(self) -> Iterator[dict[str, str]]:
        """Parts of today and what would be usual for them, matched segment by segment."""
        kpi, by = self.kpi, f"sum by ({', '.join(self.labels)})"
        usual = _today(f"{kpi.metric}_baseline", ',baseline="weekday_median"')
        for part, extra in (("numerator", kpi.numerator_labels), ("denominator", ())):
            ignored = ", ".join(("baseline", *extra))
            expr = f"{by} (\n  {_today(f'{kpi.stem}_{part}')}\n  and ignoring ({ignored})\n  {usual}\n)"
            yield {"record": self._name(f"{part}:sum"), "expr": expr}
        expected = f"{by} (\n  {_today(f'{kpi.stem}_denominator')}\n  * ignoring (baseline)\n  {usual}\n)"
        yield {"record": self._name("usual:sum"), "expr": expected}
        n, value = self._series("denominator:sum"), self._series("value:ratio")
        yield {"record": self._name("value:ratio"), "expr": ratio(self._series("numerator:sum"), n)}
        yield {"record": self._name("usual:ratio"), "expr": ratio(self._series("usual:sum"), n)}
        yield {"record": self._name("value:lower"), "expr": wilson(value, n, upper=False)}

    def expression(self) -> str:
        """Over the usual by a factor, by an amount and by some records; and surely over it."""
        names = ("denominator:sum", "value:ratio", "usual:ratio", "value:lower")
        n, value, usual, lower = map(self._series, names)
        return (
            f"(\n  {value} > {self.spike.factor:g} * {usual}\n  and {value} - {usual} >= {self.spike.rise:g}\n"
            f"  and ({value} - {usual}) * {n} >= {MIN_RECORDS}\n  and {lower} > {usual}\n)\n"
            f"* on (job) group_left (kpi_owner)\n(\n  {self.owner}\n  or on (job)\n  group by (job) ({n})\n)"
        )

    def description(self, guards: str) -> str:
        """Team, value, number of records, what is usual, and what to look at."""
        count = looked_up(self._name("denominator:sum"), self.labels, "humanize")
        usual = looked_up(self._name("usual:ratio"), self.labels, "humanizePercentage")
        began = since(spike_name(self.kpi), self.labels)
        return (
            f"{self.kpi.title} of team {{{{ $labels.team }}}} is {{{{ $value | humanizePercentage }}}} over the last "
            f"day ({count} records){began}; on this weekday {usual} is usual. "
            f"Look first at the segments of this team on the dashboard; read beside it: {guards}."
        )

    def _name(self, name: str) -> str:
        """A recorded series, named after the level it is at."""
        return f"{'_'.join(self.labels[1:])}:{self.kpi.stem}_spike_{name}"

    def _series(self, name: str) -> str:
        return f'{self._name(name)}{{window="1d"}}'


def _today(name: str, selector: str = "") -> str:
    """A series of the last day, of any replica."""
    return f'max without (instance, pod) (last_over_time({name}{{window="1d"{selector}}}[{LAST}]))'
