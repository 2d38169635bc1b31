"""The sentences of reports: what is, what changed and what moved it; never more than tests allow."""

from collections.abc import Iterator, Mapping, Sequence

from exporter.explain import wording
from exporter.report.content import Change, Compared, Line, Report, Segment, Side, Split, Unit

MOST_SEGMENTS = 3
WHERE = {
    "team": "in {}",
    "workflow": "of {}",
    "service": "of {}",
    "tool": "of {}",
    "channel": "by {}",
    "business_unit": "in {}",
    "region": "in {}",
}
"""Label -> how a value of it is put into a sentence."""
BASELINES = {"fixed": "the fixed period", "control": "the control group", "previous": "the window before"}
WORDS = {"rose": "higher than", "fell": "lower than", "same": "not certainly different from"}
"""What a value is to a baseline."""
NO_CHANGE = "no change beyond chance"


def shown(number: float, unit: Unit) -> str:
    """A value with its unit."""
    if unit.whole:
        return f"{number:,.0f} {unit.currency or ''}".rstrip()
    row = {"value": number, "unit": unit.name, "currency": unit.currency, "person_day_seconds": unit.day_seconds}
    return wording.value(row)


def difference(number: float, unit: Unit) -> str:
    """A difference with its sign: `+4.1 points`, `-2.0 h`."""
    if unit.name == "ratio":
        return f"{number * 100:+.1f} points"
    return f"{'-' if number < 0 else '+'}{shown(abs(number), unit)}"


def records(side: Side) -> str:
    """`n = 151`; empty where what is behind a value is no number of records."""
    return "" if side.n is None else f"n = {side.n:,.10g}"


def counted(change: Change) -> str:
    """` (n = 151, before 140)`; empty where there is no n."""
    if change.now.n is None or change.before.n is None:
        return ""
    return f" (n = {change.now.n:,.10g}, before {change.before.n:,.10g})"


def named(line: Line) -> str:
    """The title of a KPI, with what it is of."""
    of = ", ".join(line.of.values()).replace("_", " ")
    return f"{line.title} ({of})" if of else line.title


def headline(line: Line, earlier: str) -> str:
    """The first sentence of a report."""
    n = f" ({records(line.now)})" if line.now.n is not None else ""
    aim = {True: "which reaches its target of {}", False: "which misses its target of {}", None: ""}[line.reached]
    reached = f", {aim.format(shown(line.target, line.unit))}" if line.target is not None and aim else ""
    unsure = (
        f" Whether it reaches its target of {shown(line.target, line.unit)} is not certain."
        if (line.target is not None and not aim)
        else ""
    )
    return f"{named(line)} is {shown(line.now.value, line.unit)}{n}{reached}; {versus(line, earlier)}.{unsure}"


def versus(line: Line, earlier: str) -> str:
    """How a value compares with the period before, as a part of a sentence."""
    change = line.change
    if change is None:
        return f"there is nothing to compare it with: {line.absent}"
    before = f"{earlier} it was {shown(change.before.value, line.unit)}"
    if change.now.value != line.now.value:
        before += f", and {shown(change.now.value, line.unit)} in its second"
    if change.verdict in ("rose", "fell"):
        return f"{change.verdict}, {before}"
    if change.verdict == "few":
        return f"{before}, of too few records to say whether it changed"
    return before if change.verdict == "untested" else f"{before}, {NO_CHANGE}"


def aimed(line: Line) -> str:
    """What is to be said of the target; empty without one."""
    if line.target is None:
        return ""
    aim = f"target {shown(line.target, line.unit)}"
    return f"{aim}: {({True: 'reached', False: 'missed', None: 'not certain'})[line.reached]}"


def changed(line: Line, change: Change, where: str = "") -> str:
    """`Escalation rate in finance rose from 9.0% to 52.3% (n = 151, before 140)`."""
    what = f"{named(line)} {where}".strip()
    before, now = shown(change.before.value, line.unit), shown(change.now.value, line.unit)
    if change.verdict in ("rose", "fell"):
        return f"{what} {change.verdict} from {before} to {now}{counted(change)}{dated(change, line.unit)}"
    few = ": too few records to say whether it changed" if change.verdict == "few" else f": {NO_CHANGE}"
    return f"{what} is {now}, before {before}{counted(change)}{'' if change.verdict == 'untested' else few}"


def dated(change: Change, unit: Unit) -> str:
    """` since 21 November`, or `; since 24 November it is 61.2% (n = 80)`; empty where days do not tell it."""
    since = change.since
    if since is None:
        return ""
    day = f"since {'about ' if since.about else ''}{since.day:%-d %B}"
    if since.boundary or since.now is None:
        return f" {day}"
    n = f" ({records(since.now)})" if since.now.n is not None else ""
    return f"; {day} it is {shown(since.now.value, unit)}{n}"


def place(label: str, value: str) -> str:
    """`in finance`, `of Invoice intake`, `for category Passwords`."""
    pattern = WHERE.get(label)
    return pattern.format(value) if pattern else f"for {label.replace('_', ' ')} {value}"


def story(line: Line) -> str:
    """What changed and which segments moved it, in two or three sentences."""
    return " ".join(_story(line))


def short(line: Line) -> str:
    """The change in a part of a sentence: of the whole, or else of the segment that says most."""
    if line.change and line.change.verdict in ("rose", "fell"):
        return changed(line, line.change)
    split = line.split
    first = next((each for each in split.changed if each.change), None) if split else None
    return changed(line, first.change, place(split.label, first.name)) if split and first and first.change else ""


def _story(line: Line) -> Iterator[str]:
    change, split = line.change, line.split
    if change is None:
        return
    whole = change.verdict in ("rose", "fell")
    segments = split.changed if split else ()
    if whole or not segments:
        yield f"{changed(line, change)}."
    if split and segments:
        told = [changed(line, each.change, place(split.label, each.name)) for each in segments if each.change]
        yield from (f"{text}." for text in told[:MOST_SEGMENTS])
        yield _others(split, segments)
        if not whole:
            yield f"Over all it is {shown(change.now.value, line.unit)}: {NO_CHANGE}."
    elif split and whole:
        yield f"No single {split.label.replace('_', ' ')} changed beyond chance."
    if whole and split and line.unit.name:
        yield parts(split, change, line.unit)


def _others(split: Split, segments: Sequence[Segment]) -> str:
    noun, more = split.label.replace("_", " "), len(segments) - MOST_SEGMENTS
    if more > 0:
        return f"{more} more {noun}{'s' if more > 1 else ''} changed."
    return f"No other {noun} changed beyond chance."


def parts(split: Split, change: Change, unit: Unit) -> str:
    """What the segments and the mix make of a change; it adds up."""
    first, rest = split.segments[:MOST_SEGMENTS], split.segments[MOST_SEGMENTS:]
    noun = split.label.replace("_", " ")
    own = [(each.name, each.contribution.own) for each in first]
    own += (
        [(f"{len(rest)} other {noun}s" if len(rest) > 1 else rest[0].name, sum(each.contribution.own for each in rest))]
        if rest
        else []
    )
    own += [(f"a different mix of {noun}s", split.mix)] if change.now.weight is not None else []
    texts = ((name, difference(amount, unit)) for name, amount in own)
    said = [f"{name} {text}" for name, text in texts if any(digit in "123456789" for digit in text)]
    return f"Of the change of {difference(change.difference, unit)}: {', '.join(said)}."


def baseline(compared: Compared, line: Line) -> str:
    """`rose from 9.0% in the fixed period`, or that nothing changed."""
    change, what = compared.change, BASELINES.get(compared.kind, compared.kind)
    then = shown(change.before.value, line.unit)
    n = "" if change.before.n is None else f" (n = {change.before.n:,.10g})"
    word = WORDS.get(change.verdict, "beside")
    return f"{word} {then}{n} of {what}"


def interval(line: Line) -> str:
    """The ends of the interval."""
    if line.now.lower is None or line.now.upper is None:
        return ""
    return f"{line.now.lower:.1%} to {line.now.upper:.1%}"


def limits(line: Line) -> str:
    """The thresholds with their direction."""
    side = "above" if line.better == "lower" else "below"
    return ", ".join(f"{severity} {side} {shown(limit, line.unit)}" for severity, limit in line.limits.items())


def cell(line: Line) -> str:
    """A change in a word or two, for a table."""
    change = line.change
    if change is None:
        return line.absent
    if change.difference == 0:
        return "unchanged"
    words = {"rose": "rose", "fell": "fell", "same": NO_CHANGE, "few": "too few records", "untested": "not tested"}
    return f"{difference(change.difference, line.unit)}: {words[change.verdict]}"


def guards(line: Line, lines: Mapping[str, Line]) -> list[str]:
    """The KPIs to read beside one, with their values."""
    found = (lines.get(name) for name in line.guards)
    return [f"{named(each)} {shown(each.now.value, each.unit)}" for each in found if each]


def upper(line: Line, lines: Mapping[str, Line]) -> str:
    """`up to 71,200 EUR at the longest manual time`; empty where manual time has one length."""
    end = lines.get(line.upper or "")
    if end is None or end.of != line.of or shown(end.now.value, line.unit) == shown(line.now.value, line.unit):
        return ""
    return f"up to {shown(end.now.value, line.unit)} at the longest manual time"


def missing(reason: str, titles: Sequence[str], most: int = 6) -> str:
    """`no source: Lead time, Change failure rate and 3 more`."""
    more = len(titles) - most
    return f"{reason}: {', '.join(titles[:most])}{f' and {more} more' if more > 0 else ''}"


def method(report: Report) -> str:
    """How to read what is said to have changed."""
    return (
        f"Rose, fell, higher and lower are only said of what is beyond chance in {report.tests} tests, judged as one: "
        "of 20 reports in which nothing has changed, at most one says that something has. "
        "A change must also exceed how much days differ, since a bad day affects many records at once. "
        "Sums and quotients, such as money, have no test: their changes are given without a judgement. "
        "A change of a segment says where something happened, not why."
    )
