"""What `check --live` finds on a PagerDuty account."""

from collections.abc import Sequence
from datetime import timedelta

from exporter.collect.finding import Finding, look
from exporter.collect.http import Answer, Client
from exporter.collect.query import Scalar
from exporter.connectors.pagerduty.mapping import SEVERITIES, plain, priority
from exporter.connectors.pagerduty.options import Options

NEEDS = "to be a read-only API key of the account, or an app's token with the scope incidents.read"
DAY = timedelta(days=1)


async def check(client: Client, options: Options) -> Sequence[Finding]:
    """The first page of incidents and of the log, and priorities of which nobody has said what they mean."""
    one: dict[str, Scalar | Sequence[Scalar]] = {"limit": 1, "time_zone": "UTC"}
    one |= {"team_ids[]": options.teams} if options.teams else {}
    page, findings = await look("incidents", client.ask("/incidents", {**one, "date_range": "all"}), needs=NEEDS)
    findings += [shown(page)] if page else []
    since, until = (f"{at:%Y-%m-%dT%H:%M:%SZ}" for at in (client.at - DAY, client.at))
    question = client.ask("/log_entries", {**one, "since": since, "until": until, "is_overview": "true"})
    log, found = await look("log_entries", question, needs=NEEDS)
    findings += [Finding("log_entries", "the first page is read")] if log else found
    question = client.ask("/priorities", {"limit": 100})
    page, _ = await look("priorities", question, needs="the scope priorities.read")
    return [*findings, meant(page, options)]


def shown(page: Answer) -> Finding:
    if page.listed("incidents"):
        return Finding("incidents", "the first page is read")
    text = "none is shown; if there are any, a key of a user shows only those that the user may see"
    return Finding("incidents", text, wrong=True)


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
