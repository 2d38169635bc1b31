"""What of a KPI's records could not be read, and which of its figures are withdrawn for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from exporter.business import UNASSIGNED
from exporter.figure import Figure
from exporter.kpi import Kpi
from exporter.plan import Feed
from exporter.trust import part_names


@dataclass(frozen=True, slots=True)
class Loss:
    """What of a KPI's records could not be read: of which teams too many (None: of no team), and whether of all.

    `of_any`: whether any team may be such a one.
    """

    teams: frozenset[str | None]
    of_any: bool
    of_all: bool


def loss(kpi: Kpi, kpis: Mapping[str, Kpi], feeds: Sequence[Feed]) -> Loss | None:
    """What is lost to a KPI, and to what it is made of; None where enough could be read."""
    below = [kpis[name] for name in part_names(kpi) if name in kpis]
    losses = [found for part in below if (found := loss(part, kpis, feeds))]
    concerned = [feed for feed in feeds if feed.records & kpi.fed_by]
    teams = frozenset[str | None]().union(*(feed.unreadable for feed in concerned), *(each.teams for each in losses))
    of_all = any(feed.too_few for feed in concerned) or any(each.of_all for each in losses)
    of_any = any(feed.unreadable_of_any for feed in concerned) or any(each.of_any for each in losses)
    return Loss(teams, of_any, of_all) if teams or of_any or of_all else None


def whole(kpi: Kpi, kpis: Mapping[str, Kpi]) -> set[str]:
    """A KPI and all that it is made of, by name."""
    return {kpi.name}.union(*(whole(kpis[name], kpis) for name in part_names(kpi) if name in kpis))


def unreadable(figure: Figure, lost: Loss | None) -> bool:
    """Whether a figure counts records of which too many could not be read."""
    if lost is None or lost.of_any:
        return lost is not None
    team = dict(figure.segment).get("team")
    return lost.of_all if team is None else (None if team == UNASSIGNED else team) in lost.teams
