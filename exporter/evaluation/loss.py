"""How much of each source could not be read, by window, and which figures are withdrawn because of it.

A share over all that is stored would not do: a status word that is new since yesterday costs every new record, and in a
large store that is little for weeks.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any

from exporter.evaluation.business_time import UNASSIGNED
from exporter.evaluation.compiled import Measure
from exporter.evaluation.context import Connection, utc
from exporter.evaluation.figure import Figure, Lost
from exporter.evaluation.plan import Plan
from exporter.records import RECORDS, marked, placing
from exporter.store.status import SourceStatus

SUMMED = sorted({name for record in RECORDS.values() for name in marked(record, "summed")})
"""Columns that sums are made of."""
NOTHING = Lost()


@dataclass(frozen=True, slots=True)
class Share:
    """Of one source, and one team or all, at one instant. Each list has a number for each window.

    `lost`: all that could not be read, whenever it was. `held`: records in the window. `dated`: what was lost in it;
    `undated`: what may have been lost in it, for nobody knows when it was. Of both the part (`whole`) that is not among
    the records.
    """

    records: int
    lost: int
    held: Sequence[int]
    dated: Sequence[int]
    dated_whole: Sequence[int]
    undated: Sequence[int]
    undated_whole: Sequence[int]

    def __add__(self, other: "Share") -> "Share":
        lists = [
            [a + b for a, b in zip(getattr(self, each.name), getattr(other, each.name), strict=True)]
            for each in fields(self)[2:]
        ]
        return Share(self.records + other.records, self.lost + other.lost, *lists)

    def of(self, window: int) -> float:
        """The share of what should be in a window that is lost. What has no time is spread as the records are."""
        if not self.records:
            return float(self.lost > 0)
        here, whole = self.dated[window], self.dated_whole[window]
        if not self.held[window] and not here:
            # Nothing tells how much of the window it is but how much of everything it is.
            return self.undated[window] / (self.records + self.undated_whole[window])
        part = self.held[window] / self.records
        lost = here + part * self.undated[window]
        return lost / max(1.0, self.held[window] + whole + part * self.undated_whole[window])


def losses(connection: Connection, plan: Plan, at: datetime, sources: Sequence[SourceStatus]) -> dict[str, Lost]:
    """Source -> the windows in which too many of its records are lost. `prepare` must have run."""
    concerned = {source.source: source for source in sources if source.unread.lines}
    if not concerned:
        return {}
    by_team: dict[str, dict[str | None, Share]] = defaultdict(dict)
    for source, team, *counts in connection.execute(shares(plan, at, concerned.values())).fetchall():
        by_team[source][team] = Share(*counts)
    windows = [name for name, _ in plan.windows]
    lost_of = {source: too_much(of_team, windows, concerned[source].most_unread) for source, of_team in by_team.items()}
    return {source: lost for source, lost in lost_of.items() if lost != NOTHING}


def too_much(shares: Mapping[str | None, Share], windows: Sequence[str], limit: float) -> Lost:
    """The windows in which a source, or a team of it, has lost more than a share of its records."""
    teams = [*shares.values()]
    whole = sum(teams[1:], start=teams[0])
    teamless = {team for team, each in shares.items() if each.records} == {None}  # then so is what is lost
    known = None in shares and not teamless
    teamless_share = replace(shares[None], records=whole.records, held=whole.held) if known else None

    def beyond(share: Share | None) -> frozenset[str]:
        return frozenset(name for i, name in enumerate(windows) if share and share.of(i) > limit)

    # What has no team that is known is not lost to those of no team where there are none.
    judged = {team: each for team, each in shares.items() if team is not None or each.records}
    of_teams = frozenset((team, name) for team, each in judged.items() for name in beyond(each))
    return Lost(beyond(whole), beyond(teamless_share), of_teams)


def shares(plan: Plan, at: datetime, sources: Iterable[SourceStatus]) -> str:
    """SQL: (source, team, then a Share) of sources of which something is left out."""
    end = f"timestamp '{utc(at)}'"
    begins = [f"timestamp '{utc(at) - timedelta(seconds=seconds)}'" for _, seconds in plan.windows]
    names = ", ".join("'" + source.source.replace("'", "''") + "'" for source in sources)
    tables = " union all ".join(
        f'select source, team, {begin_and_end(record)} from "{record}" where source in ({names})'
        for record in sorted({record for source in sources for record in source.records} & RECORDS.keys())
    )
    summed = ", ".join(f"'{name}'" for name in SUMMED)
    none = f"[{', '.join('0' for _ in begins)}]"

    def numbers(amount: str, condition: str) -> str:
        each = (f"coalesce({amount} filter ({condition.format(begin=begin)}), 0)::bigint" for begin in begins)
        return f"[{', '.join(each)}]"

    dated = f"first_at <= {end} and last_at > {{begin}}"
    undated = "first_at is null and last_at > {begin}"
    return f"""
        with items as (
          select source, team, key, bool_or(whole) as whole, max(coalesce(weight, 1)) as weight,
            min(first_at) as first_at, max(coalesce(last_at, noted_at)) as last_at
          from left_out where source in ({names}) and (whole or column_name in ({summed})) group by all
        ),
        lost as (
          select source, team, sum(weight)::bigint as lost, {numbers("sum(weight)", dated)} as dated,
            {numbers("sum(weight)", f"whole and {dated}")} as dated_whole,
            {numbers("sum(weight)", undated)} as undated,
            {numbers("sum(weight)", f"whole and {undated}")} as undated_whole
          from items group by all
        ),
        held as (
          select source, team, count(*) as records,
            {numbers("count(*)", f"last_at is null or ({dated})")} as held
          from ({tables}) group by all
        )
        select coalesce(l.source, h.source), coalesce(l.team, h.team), coalesce(records, 0), coalesce(lost, 0),
          coalesce(held, {none}), coalesce(dated, {none}), coalesce(dated_whole, {none}), coalesce(undated, {none}),
          coalesce(undated_whole, {none})
        from lost l full join held h on l.source = h.source and l.team is not distinct from h.team"""


def begin_and_end(record: str) -> str:
    """SQL: from when to when a record is, by the times that place it; of an inventory always."""
    if RECORDS[record].INVENTORY:
        return "null::timestamp as first_at, null::timestamp as last_at"
    times = ", ".join(placing(RECORDS[record]))
    return f"coalesce(least({times}), updated_at) as first_at, coalesce(greatest({times}), updated_at) as last_at"


def loss(measure: Measure, sources: Sequence[SourceStatus], lost: Mapping[str, Lost]) -> Lost:
    """The windows in which too many records of a KPI or its parts are lost."""
    parts = [lost.get(source.source, NOTHING) for source in sources if source.records & measure.records] if lost else []
    return Lost(
        frozenset[str]().union(*(each.of_all for each in parts)),
        frozenset[str]().union(*(each.of_every for each in parts)),
        frozenset[tuple[str | None, str]]().union(*(each.of_teams for each in parts)),
    )


def unreadable(figure: Figure, lost: Lost, longest: str) -> bool:
    """Whether too many records behind a figure could not be read. A state is judged by the window `longest`."""
    if lost == NOTHING:
        return False
    return touches(lost, figure.window or longest, dict(figure.segment).get("team"))


def withdrawn(lost: Lost, windows: Sequence[str], *, windowed: bool) -> dict[str, Any]:
    """What is withdrawn of a KPI, ready for JSON: the windows of all and those of teams (`now`: of a state)."""
    names = {name: name for name in windows} if windowed else {windows[-1]: "now"}
    teams = sorted({team for team, _ in lost.of_teams}, key=lambda team: (team is None, team or ""))
    published = {each: name for each, name in names.items() if each not in lost.of_every}
    by_team = {team: [name for each, name in published.items() if (team, each) in lost.of_teams] for team in teams}
    return {
        "all": [name for each, name in names.items() if each in lost.of_all],
        "teams": {team or UNASSIGNED: names_of for team, names_of in by_team.items() if names_of},
    }


def touches(lost: Lost, window: str, team: str | None) -> bool:
    """Whether a window of a team (of what is not by team: None) is withdrawn."""
    if team is None:
        return window in lost.of_all
    return window in lost.of_every or (None if team == UNASSIGNED else team, window) in lost.of_teams
