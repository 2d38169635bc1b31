"""What a reader must know beside the values: what is missing, what is wrong with sources, and what money rests on."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from exporter.evaluation.assumptions import Assumption, concerning
from exporter.evaluation.compiled import compile_plan
from exporter.evaluation.figure import Evaluation
from exporter.evaluation.plan import Plan
from exporter.explain.summary import standing
from exporter.explain.wording import WHY
from exporter.report.content import Line
from exporter.report.period import Span
from exporter.store.status import SourceStatus

MOST_ASSUMPTIONS = 5
LATEST = timedelta(hours=1)


def missing(plan: Plan, now: Evaluation, lines: Mapping[str, Line]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """(reason, titles) of what has no value."""
    reasons: dict[str, list[str]] = {}
    for setting in plan.settings:
        if setting.chosen and setting.kpi.name not in lines:
            reason = now.absent.get(setting.kpi.name, "no_records")
            reasons.setdefault(WHY.get(reason, reason), []).append(setting.kpi.title)
    return tuple((reason, tuple(titles)) for reason, titles in sorted(reasons.items()))


def troubled(sources: Sequence[SourceStatus], span: Span, at: datetime) -> Iterator[str]:
    """What is wrong with the sources, and what has been left out of them."""
    for each in sources:
        state = standing(each.as_of(at))
        if state != "fresh":
            yield f"{each.source}: {state}"
        elif each.last_success and each.last_success < span.until - LATEST:
            yield f"{each.source}: last read on {each.last_success:%Y-%m-%d %H:%M} UTC, before the period ended"


def assumed(plan: Plan, lines: Iterable[Line]) -> Iterator[str]:
    """What is assumed behind some values, each kind in a sentence."""
    by_name = compile_plan(plan).by_name
    every = dict.fromkeys(each for line in lines for each in concerning(plan, by_name[line.kpi], line.of))
    by_kind: dict[str, list[Assumption]] = {}
    for each in every:
        by_kind.setdefault(each.name, []).append(each)
    for name, of in by_kind.items():
        told = [f"{each.subject} {each.value}" if each.subject else each.value for each in of]
        origins = [*dict.fromkeys(each.origin for each in of if each.origin)]
        more = f"; and {len(told) - MOST_ASSUMPTIONS} more" if len(told) > MOST_ASSUMPTIONS else ""
        source = f" (origin: {', '.join(origins)})" if origins else ""
        yield f"{name.replace('_', ' ')}: {'; '.join(told[:MOST_ASSUMPTIONS])}{more}{source}"


def notes(span: Span, zone: ZoneInfo, *, halves: bool) -> Iterator[str]:
    """What a reader must know first."""
    if halves:
        yield (
            f"Records do not reach back over {span.earlier}. What changed is therefore told of this "
            f"{span.kind} itself, from its first half to its second; values are of all of it."
        )
    if not span.over:
        yield (
            f"This {span.kind} is not over: values are of its first "
            f"{_days(span.seconds)}, up to {span.until.astimezone(zone):%-d %B %Y %H:%M}."
        )


def _days(seconds: int) -> str:
    days, hours = divmod(seconds // 3600, 24)
    parts = [f"{n} {noun}{'' if n == 1 else 's'}" for n, noun in ((days, "day"), (hours, "hour")) if n]
    return " and ".join(parts)
