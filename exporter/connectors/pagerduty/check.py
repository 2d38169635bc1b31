"""What `check --live` finds on a PagerDuty account."""

from collections.abc import Sequence
from datetime import timedelta

from exporter.collect.finding import Finding, look
from exporter.collect.http import Answer, Client
from exporter.collect.query import Scalar
from exporter.connectors.pagerduty.account import between
from exporter.connectors.pagerduty.mapping import KINDS, SEVERITIES, plain, priority
from exporter.connectors.pagerduty.options import Options
from exporter.records import Json

NEEDS = "to be a read-only API key of the account, or an app's token with the scope incidents.read"
DAY = timedelta(days=1)


async def check(client: Client, options: Options) -> Sequence[Finding]:
    """The first page of incidents and of the log, and priorities of which nobody has said what they mean."""
    one: dict[str, Scalar | Sequence[Scalar]] = {"limit": 100, "time_zone": "UTC"}
    one |= {"team_ids[]": options.teams} if options.teams else {}
    page, findings = await look("incidents", client.ask("/incidents", {**one, "date_range": "all"}), needs=NEEDS)
    findings += [shown(page)] if page else []
    span = between(client.at - DAY, client.at)
    whole, found = await look("log_entries", client.ask("/log_entries", {**one, **span}), needs=NEEDS)
    question = client.ask("/log_entries", {**one, **span, "is_overview": "true"})
    overview, _ = await look("log_entries", question, needs=NEEDS)
    findings += found or overviewed(overview, whole)
    question = client.ask("/priorities", {"limit": 100})
    page, _ = await look("priorities", question, needs="the scope priorities.read")
    return [*findings, meant(page, options)]


def shown(page: Answer) -> Finding:
    if page.listed("incidents"):
        return Finding("incidents", "the first page is read")
    text = "none is shown; if there are any, a key of a user shows only those that the user may see"
    return Finding("incidents", text, wrong=True)


def overviewed(overview: Answer | None, whole: Answer | None) -> list[Finding]:
    """Whether the most important changes, which is all that is read of the log, are those that matter."""
    shown, there = ({str(each.get("id")): str(each.get("type")) for each in listed(page)} for page in (overview, whole))
    lacking = sorted({kind for key, kind in there.items() if key not in shown and KINDS.get(kind)})
    if lacking:
        text = f"the overview of the log lacks {', '.join(lacking)}; what these tell stays unknown: please report this"
        return [Finding("log_entries", text, wrong=True)]
    return [Finding("log_entries", "the first page is read")]


def listed(page: Answer | None) -> list[Json]:
    return [each for each in page.listed("log_entries") if isinstance(each, dict)] if page else []


def meant(page: Answer | None, options: Options) -> Finding:
    """Whether the priorities of an account have a severity."""
    if page is None:
        text = "not shown to this credential, or not part of the plan; incidents without one have the severity that"
        return Finding("priorities", f"{text} `severities` gives their urgency, high or low")
    known = {*SEVERITIES, *map(plain, options.severities)}
    names = [priority({"priority": each}) or "" for each in page.listed("priorities")]
    if unknown := [name for name in names if plain(name) not in known]:
        return Finding("priorities", f"add to `severities` what these mean: {', '.join(unknown)}", wrong=True)
    return Finding("priorities", "each has a severity")
