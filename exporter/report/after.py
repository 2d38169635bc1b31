"""What interventions and go-lives did, and how usage goes with outcomes: as sentences that are judged together."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from functools import cache
from itertools import permutations
from random import Random

from exporter.catalogue.kpi import Kpi
from exporter.evaluation.context import Connection
from exporter.evaluation.figure import Evaluation, Key
from exporter.evaluation.plan import Intervention, Plan
from exporter.explain.interventions import VERDICTS, Shown, sentence
from exporter.explain.interventions import WHY as NOTHING
from exporter.explain.wording import WHY, value
from exporter.insight import go_live
from exporter.insight.difference import Difference
from exporter.insight.difference import student as quantile
from exporter.insight.interventions import effects
from exporter.insight.usage import Outcome, usage
from exporter.publish.families import unit as unit_of
from exporter.report.change import LEVEL, certain, student
from exporter.report.content import Reviewed, Stage
from exporter.store import Store
from exporter.store.status import SourceStatus

MOST_INTERVENTIONS = 3
MOST_TOLD = 2
"""KPIs of an intervention that are told in full."""
MOST_OUTCOMES = 3
MOST_NAMED = 5
"""KPIs of which there is nothing to say that are named."""
EXACT = 7
DRAWS = 20_000
REASONS = {**WHY, "no_baseline": "no fixed baseline is configured", "not_frozen": "the fixed baseline is not there"}
STAGES = {
    30: "the first 30 days beside the 30 before",
    60: "days 31 to 60 beside the first 30",
    90: "the first 90 days beside the fixed baseline",
}
"""What each stage compares."""


def p_of(difference: Difference | None) -> float | None:
    """The p value behind a 95 % interval; None where there is none."""
    if difference is None or difference.lower is None or difference.upper is None:
        return None
    deviation = (difference.upper - difference.lower) / 2 / quantile(difference.freedom)
    return student(difference.value / deviation, difference.freedom) if deviation else None


def interventions(
    connection: Connection,
    plan: Plan,
    at: datetime,
    sources: Sequence[SourceStatus],
    recent: Iterable[Intervention],
    kpis: Sequence[str],
) -> Iterator[str]:
    """What changed with interventions, the latest first: of the first few KPIs in full, the others are named."""
    chosen = sorted(recent, key=lambda each: each.at, reverse=True)[:MOST_INTERVENTIONS]
    found = [each for made in chosen for each in effects(connection, plan, at, sources, [made], kpis)]
    p_values = {i: p for i, each in enumerate(found) if (p := p_of(each.judged)) is not None}
    sure = certain(p_values, LEVEL)
    for made in chosen:
        mine = [(i, each) for i, each in enumerate(found) if each.intervention is made]
        mine.sort(key=lambda pair: kpis.index(pair[1].kpi))
        head = f"{made.what} ({made.place}, {made.at:%-d %B %Y})"
        certainly = [each for i, each in mine if i in sure]
        told = [f"{plan.kpis[each.kpi].title}: {sentence(each, plan.kpis[each.kpi])}" for each in certainly[:MOST_TOLD]]
        yield from (f"{head}. {text}" for text in told)
        if more := [
            f"{plan.kpis[each.kpi].title} ({VERDICTS[each.verdict(plan.kpis[each.kpi])].partition(',')[0]})"
            for each in certainly[MOST_TOLD:]
        ]:
            yield f"{head}. Also beyond chance: {', '.join(more)}."
        rest = [plan.kpis[each.kpi].title for i, each in mine if i not in sure and not each.absent]
        if rest:
            yield f"{head}. Day by day nothing is certain yet of {', '.join(dict.fromkeys(rest))}."
        reasons = sorted({NOTHING[each.absent] for _, each in mine if each.absent})
        if reasons and not told and not rest:
            yield f"{head}. {'; '.join(reasons).capitalize()}."


def reviewed(
    connection: Connection, store: Store, plan: Plan, at: datetime, sources: Sequence[SourceStatus]
) -> list[Reviewed]:
    """The reviews of all go-lives, the latest first; what is said to be better or worse is judged together."""
    found = go_live.reviews(connection, store, plan, at, sources)
    lines = {
        (i, stage.day, line.kpi, line.split): line
        for i, review in enumerate(found)
        for stage in review.stages
        for line in stage.lines
    }
    p_values = {key: p for key, line in lines.items() if (p := p_of(line.change)) is not None}
    sure = certain(p_values, LEVEL)
    texts = []
    for i, review in enumerate(found):
        of = {day: {key[2:] for key in sure if key[:2] == (i, day)} for day in STAGES}
        stages = tuple(_stage(plan, stage, of[stage.day]) for stage in review.stages)
        made = review.go_live
        texts.append(Reviewed(title=f"{made.place}, live since {made.at:%-d %B %Y}", stages=stages))
    return texts[::-1]


def _stage(plan: Plan, stage: go_live.Stage, sure: Collection[tuple[str, Key]]) -> Stage:
    heading = f"Day {stage.day}, {stage.about}"
    if not stage.due:
        return Stage(heading=heading, lead=f"Due on {stage.due_at:%-d %B %Y}.")
    texts: list[tuple[int, str]] = []
    same: list[str] = []
    unjudged: list[str] = []
    absent: dict[str, list[str]] = {}
    better = worse = 0
    uppers = {kpi.upper for kpi in plan.kpis.values()}
    for line in stage.lines:
        kpi = plan.kpis[line.kpi]
        if line.kpi in uppers:
            continue  # it goes with its lower end
        if line.before is None or line.after is None or line.change is None:
            reason = line.absent or "no_records"
            absent.setdefault(REASONS.get(reason, reason), []).append(kpi.title)
            continue
        verdict = line.verdict(kpi)
        if verdict == "unknown":
            unjudged.append(_line(line, kpi))
        elif (line.kpi, line.split) not in sure and not line.severity:
            same.append(kpi.title)
        else:
            judged = verdict if (line.kpi, line.split) in sure else "no change beyond chance"
            better, worse = better + (judged == "better"), worse + (judged == "worse")
            level = f"; beyond its {line.severity} threshold" if line.severity else ""
            order = {"worse": 0, "better": 1}.get(judged, 2)
            texts.append((order, f"{_line(line, kpi)}; {judged}{level}."))
    said = [text for _, text in sorted(texts, key=lambda each: each[0])]
    said += [f"No change beyond chance: {few(same)}."] if same else []
    said += [f"Not judged, for lack of days or records: {'; '.join(unjudged)}."] if unjudged else []
    said += [f"Nothing to compare ({reason}): {few(names)}." for reason, names in absent.items()]
    compared = better or worse or texts or same or unjudged
    lead = f"{better} better, {worse} worse: {STAGES[stage.day]}." if compared else "Nothing could be compared."
    lead = lead if stage.lines else "No KPI is told apart by this."
    return Stage(heading=heading, lead=lead, texts=tuple(said))


def few(titles: Iterable[str]) -> str:
    """The first few of some titles, and how many more there are."""
    each = [*dict.fromkeys(titles)]
    more = len(each) - MOST_NAMED
    return ", ".join(each[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _line(line: go_live.Line, kpi: Kpi) -> str:
    """`Completion rate: 90.1% (n = 150) before, 95.0% (n = 151) since, +4.9 points (95 % interval ...)`."""
    shown = Shown(kpi.unit or unit_of(kpi), dict(line.split).get("currency"))
    of = ", ".join(text for label, text in line.split if label not in ("basis", "currency")).replace("_", " ")
    title = f"{kpi.title} ({of})" if of else kpi.title
    if line.before is None or line.after is None or line.change is None:
        return title
    return f"{title}: {shown.side(line.before)} before, {shown.side(line.after)} then, {shown.change(line.change)}"


def associations(evaluation: Evaluation, plan: Plan, window: str, kpis: Collection[str]) -> Iterator[str]:
    """How outcomes differ between the teams that automate least and most; an association, and no cause."""
    found = usage(evaluation, plan, window)
    if not found.thirds or found.measure is None:
        return
    measure = plan.kpis[found.measure]
    low, _, high = found.thirds
    mine = [each for each in found.outcomes if each.kpi in kpis and each.correlation is not None][:MOST_OUTCOMES]
    p_values = {i: rank_p(each.correlation or 0.0, each.teams) for i, each in enumerate(mine)}
    sure = certain(p_values, LEVEL)
    texts = [text for i, each in enumerate(mine) if (text := _outcome(each, plan, sure=i in sure))]
    if texts:
        yield (
            f"The third of teams with the highest {measure.title.lower()} ({', '.join(high.teams)}: "
            f"{_shares(high.least, high.most)}) beside the one with the lowest ({', '.join(low.teams)}: "
            f"{_shares(low.least, low.most)}). This is an association of {found.teams} teams, not a cause."
        )
        yield from texts


def _outcome(outcome: Outcome, plan: Plan, *, sure: bool) -> str:
    kpi = plan.kpis[outcome.kpi]
    low, _, high = outcome.thirds
    if low.value is None or high.value is None:
        return ""
    unit = kpi.unit or unit_of(kpi)
    currency = dict(outcome.split).get("currency")
    first, last = (value({"value": each.value, "unit": unit, "currency": currency}) for each in (high, low))
    judged = "the more, the " + ("higher" if (outcome.correlation or 0.0) > 0 else "lower")
    word = f"over all teams, {judged}, beyond chance" if sure else "over all teams it is not beyond chance"
    return f"{kpi.title}: {first} (n = {high.n:,.10g}) beside {last} (n = {low.n:,.10g}); {word}."


def _shares(least: float, most: float) -> str:
    return f"{least:.0%}" if f"{least:.0%}" == f"{most:.0%}" else f"{least:.0%} to {most:.0%}"


def rank_p(correlation: float, teams: int) -> float:
    """The chance that ranks in any order correlate as much as this."""
    drawn = correlations(teams)
    return sum(abs(each) >= abs(correlation) - 1e-9 for each in drawn) / len(drawn)


@cache
def correlations(teams: int) -> tuple[float, ...]:
    """The rank correlations of all orders of so many, or of many drawn ones."""
    ranks = [*range(teams)]
    rng = Random(teams)  # noqa: S311 - the same draws each time
    orders: Iterable[Sequence[int]] = (
        permutations(ranks) if teams <= EXACT else (rng.sample(ranks, teams) for _ in range(DRAWS))
    )
    scale = 6 / (teams * (teams**2 - 1))
    return tuple(1 - scale * sum((a - b) ** 2 for a, b in zip(ranks, order, strict=True)) for order in orders)
