"""PromQL of a KPI as dashboards ask for it: value, count, thresholds, status, by any label, now or over time."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from exporter.catalogue.kpi import NON_ADDITIVE, Kpi
from exporter.evaluation.breach import least
from exporter.render.promql import counted_once, difference, kept, lenient, ratio, worse

JOB = 'job=~"$job"'
TEAM = 'team=~"$team|"'  # money and tools belong to no team: they are there whichever team is chosen
STEP = "$__interval"  # a sample of a coarse history is drawn in the step in which it lies
UNKNOWN = 'reason=~"stale_source|initial_sync|field_missing|unreadable"'
"""The reasons for absence that are a fault: what they hide may be beyond a threshold."""
SURE = 1e9  # tells a status from a value within one number


@dataclass(frozen=True)
class Figure:
    """A KPI on a view. `segment`: the label that the view offers to choose by; `where`: labels that are fixed."""

    kpi: Kpi
    kpis: Mapping[str, Kpi]
    segment: str = ""
    where: tuple[tuple[str, str], ...] = ()
    over_time: bool = False

    @property
    def _last(self) -> str:
        return STEP if self.over_time else ""

    @property
    def own(self) -> tuple[str, ...]:
        """The labels beside team over which it is never added up, unless they are chosen on the view or fixed."""
        return tuple(label for label in kept(self.kpi, self.kpis) if label not in dict(self.where))

    @property
    def apart(self) -> tuple[str, ...]:
        """Labels by which it must be shown, because nothing chooses one of their values."""
        return tuple(label for label in self.own if label in NON_ADDITIVE and label not in ("basis", "currency"))

    @property
    def monetary(self) -> bool:
        return "currency" in kept(self.kpi, self.kpis)

    def selector(self, *more: str, by: str = "", teams: bool = False) -> str:
        """What is chosen on the view. `window`, and unless kept `basis` and `currency`, must never be added up."""
        team = TEAM.replace("|", "") if teams else TEAM
        segment = (f'{self.segment}=~"$segment|"',) if self.segment else ()
        window = ('window="$window"',) if self.kpi.windowed else ()
        pinned = [
            f'{label}="${label}"'
            for label in ("basis", "currency")
            if label in self.own and label not in by.split(", ")
        ]
        fixed = [f'{label}="{value}"' for label, value in self.where]
        return "{" + ", ".join((JOB, team, *segment, *window, *pinned, *fixed, *more)) + "}"

    def summed(self, metric: str, by: str, *more: str) -> str:
        """A series of it, replicas collapsed and everything chosen added up."""
        chosen = self.selector(*more, by=by, teams="team" in by.split(", "))
        function = "sum" if self.kpi.divided else self.kpi.aggregate
        return counted_once(self.kpi, metric, chosen, by, last=self._last, function=function)

    def count(self, by: str = "") -> str:
        """The number of records behind a value."""
        return self.summed(f"{self.kpi.stem}_denominator", by)

    def value(self, by: str = "") -> str:
        """A value over everything chosen: its parts summed, then divided; a state or a count is only summed."""
        if self.kpi.divided:
            return ratio(self.summed(f"{self.kpi.stem}_numerator", by), self.count(by))
        if self.kpi.shows_gross:
            # Where only cost is known there is no difference, but the cost counts in the total.
            return difference(*(self.summed(f"{self.kpi.metric}_{part}", by) for part in ("gross", "overhead")))
        return self.summed(self.kpi.metric, by)

    def counted(self) -> bool:
        """Whether there is a number of records behind it; money, for one, is divided by money."""
        return self.kpi.divided and (self.kpi.kind == "ratio" or least(self.kpi, self.kpis) is not None)

    def threshold(self, severity: str, by: str = "") -> str:
        """The threshold that holds for everything chosen; where segments differ, the one hardest to breach."""
        return self._level("threshold", f'severity="{severity}"', by)

    def target(self) -> str:
        """What it is to reach, where that is configured."""
        return self._level("target", "", "")

    def _level(self, name: str, more: str, by: str) -> str:
        grouping = f" by ({by})" if by else ""
        series = f"{self.kpi.metric}_{name}{self.selector(*filter(None, (more,)), by=by)}"
        series = f"last_over_time({series}[{self._last}])" if self._last else series
        return f"{lenient(self.kpi)}{grouping} ({series})"

    def before(self) -> str:
        """The value of the window before, of a state a week before: as it is compared, or as Prometheus remembers."""
        chosen = self.selector('baseline="previous"')
        ago = "$window" if self.kpi.windowed else "7d"
        then = re.sub(r"(\w+\{[^{}]*\})", rf"last_over_time(\1[1d] offset {ago})", self.value())
        if self.kpi.wholes or self.kpi.shows_gross:  # the parts of a baseline are there by segment only
            return then
        if self.kpi.divided:
            parts = (f"sum (max without (instance, pod) ({self.kpi.stem}_baseline_{part}{chosen}))" for part in PARTS)
            compared = ratio(*parts)
        else:
            compared = f"sum (max without (instance, pod) ({self.kpi.metric}_baseline{chosen}))"
        return f"({compared})\nor ({then})"

    def levels(self, by: str) -> str:
        """Every threshold of every segment, by severity."""
        return self._level("threshold", "", ", ".join(filter(None, (by, "severity"))))

    def surely(self, by: str, *, bool_: bool = False) -> str:
        """By segment and severity, whether it is beyond the level by more than chance: the very condition of the alert.

        Of a ratio: that the level lies outside its 95 % Wilson interval, which is where
        |p - t| > 1.96 sqrt(t (1 - t) / n) holds; the interval is made by solving that for t. With `bool_`
        0 or 1, else filtered.
        """
        level, is_, likely = f"({self.levels(by)})", " bool" if bool_ else "", f"({self.value(by)})"
        if self.kpi.kind != "ratio":
            compared, enough = (
                f"{likely} {worse(self.kpi)}{is_} on ({by}) group_right () {level}",
                least(self.kpi, self.kpis),
            )
            if enough is None:
                return compared
            many = f"({self.count(by)} >={is_} {enough:g})"
            return f"({compared}) * on ({by}) group_left () {many}" if bool_ else f"({compared}) and on ({by}) {many}"
        distance = f"{likely} - on ({by}) group_right () {level}"
        distance = distance if self.kpi.better == "lower" else f"0 - ({distance})"
        return (
            f"{distance} >{is_} 1.96 * sqrt({level} * (1 - {level}) / on ({by}) group_left () ({self.count(by)} > 0))"
        )

    def status(self, by: str = "") -> str:
        """0 to 3, as STATES says; from the published thresholds, so it cannot differ from the alerts."""
        grouping = f" by ({by})" if by else ""
        sure = f"sum{grouping} ({self.surely(by, bool_=True)})"
        return f"{sure}\n+ (({self.value(by)}) {worse(self.kpi)} bool {self.threshold('warning', by)})"

    def worst(self, by: str = "team") -> str:
        """One segment: that of the worst status, of these the furthest on the wrong side."""
        sign = "+" if self.kpi.better == "lower" else "-"
        if self.kpi.alerts:
            # Without thresholds for it, by value alone.
            known = f"clamp_min({self.status(by)}, 1) * {SURE:g} or ({self.value(by)}) * 0"
            return f"topk(1, ({known}) {sign} ({self.value(by)}))"
        many = f" and {self.count(by)} >= 5" if self.kpi.divided else ""
        return f"topk(1, 0 {sign} ({self.value(by)}{many}))"

    def beyond(self) -> str:
        """Each team surely beyond a threshold: by how much of it; its worst severity only, on whichever basis."""
        on = ", ".join(("team", *self.own))
        share = f"({self.value(on)}) / on ({on}) group_right () ({self.levels(on)} > 0)"
        distance = f"{share} - 1" if self.kpi.better == "lower" else f"1 - {share}"
        return f"bottomk by ({on}) (1, {distance} and {self.surely(on)})"

    def absent(self) -> str:
        """Why there is none, by reason."""
        return f'max by (reason) (outcome_kpi_absent{{{JOB}, kpi="{self.kpi.name}"}})'


PARTS = ("numerator", "denominator")
TITLES = (
    f'(bottomk by (kpi) (1, group by (kpi, title) (outcome_kpi_info{{{JOB}, title!=""}}))\n'
    f'or on (kpi) label_replace(group by (kpi) (outcome_kpi_info{{{JOB}}}), "title", "$1", "kpi", "(.+)"))'
)
"""1 for each KPI, with its title, so that tables can name it; a history of earlier days has only names."""


def at_end(expr: str) -> str:
    """An expression over time, as it was last at the end of the range that is shown; a history may be coarse."""
    return re.sub(r"(\{[^{}]*\})\[[^\]]*\]", r"\1[1d] @ end()", expr)
