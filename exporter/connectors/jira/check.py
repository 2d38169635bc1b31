"""What `check --live` finds on a Jira site."""

from collections.abc import Iterable, Sequence
from urllib.parse import quote

from exporter.collect.finding import Finding, look
from exporter.collect.http import Client
from exporter.collect.mapping import Which
from exporter.connectors.jira.issue import Site
from exporter.connectors.jira.mapping import FEEDBACK, REQUEST_TYPE, SLA
from exporter.connectors.jira.options import TYPE, Options
from exporter.connectors.jira.site import SERVICE, among, known

OLDEST = [8, 14]  # of Data Center
READ = "the scope read:jira-work"


async def check(client: Client, options: Options) -> list[Finding]:
    """What it is, whose time zone the account has, its permissions by project, and the first page of each resource."""
    server, findings = await look("version", client.get("/rest/api/2/serverInfo"), needs=READ)
    if not server:
        return findings
    cloud, numbers = server.get("deploymentType") == "Cloud", server.get("versionNumbers") or OLDEST
    old = "" if cloud or numbers[:2] >= OLDEST else "; 8.14 or later is needed"
    findings = [Finding("version", f"{server.get('version')}, {server.get('deploymentType')}{old}", wrong=bool(old))]
    myself = client.get(f"/rest/api/{3 if cloud else 2}/myself")
    account, found = await look("account", myself, needs="the scope read:jira-user")
    findings += found or [Finding("account", f"its time zone is {(account or {}).get('timeZone')}")]
    if found:
        return findings
    site, found = await look("projects", known(client, options), needs=READ)
    if not site:
        return findings + found
    for key in site.projects:
        findings += await allowed(client, site.api, key)
    path = f"{site.api}/search{'/jql' if cloud else ''}"
    asked = {"jql": among(site.projects), "maxResults": 1, "fields": ["id"]}
    page, found = await look("issues", client.ask(path, json=asked), needs=READ)
    items = page.listed("issues") if page else []
    none = Finding("issues", "none is shown; if there are any, the account needs Browse Projects", wrong=True)
    findings += found or [Finding("issues", "the first page is read") if items else none]
    for item in items if cloud else ():
        histories = client.ask(f"{site.api}/changelog/bulkfetch", json={"issueIdsOrKeys": [item["id"]]})
        findings += (await look("histories", histories, needs=READ))[1]
    types, found = await look("types", client.ask(f"{site.api}/issuetype"), needs=READ)
    names = [str(each.get("name")) for each in types.listed() if isinstance(each, dict)] if types else []
    return [*findings, *found, *unnamed(site, options), *unmatched(options, names)]


async def allowed(client: Client, api: str, project: str) -> list[Finding]:
    """What the account may not do in a project, and should."""
    what = f"project {project}"
    told, found = await look(what, client.get(f"{api}/project/{quote(project)}"), needs="Browse Projects in it")
    if not told:
        return found
    needed = {"BROWSE_PROJECTS": "Browse Projects"}
    if told.get("projectTypeKey") == SERVICE:
        needed["SERVICEDESK_AGENT"] = "Service Desk Agent, which the project role Service Desk Team has"
    params = {"projectKey": project, "permissions": ",".join(needed)}
    answer, found = await look(what, client.ask(f"{api}/mypermissions", params), needs="the scope read:jira-work")
    mine = (answer and answer.find("permissions")) or {}
    lacking = [name for key, name in needed.items() if mine.get(key, {}).get("havePermission") is False]
    return found or [Finding(what, f"the account lacks {name}", wrong=True) for name in lacking]


def unnamed(site: Site, options: Options) -> Iterable[Finding]:
    """What is named in the config, or is usual, and is not there: the figures made of it stay empty."""
    statuses = {name.lower() for name, _ in site.statuses.values()}
    for option in ("on_hold_statuses", "escalation_statuses", "deployed_statuses"):
        names = [name for name in getattr(options, option) if name.lower() not in statuses]
        if names:
            yield Finding(option, f"no status of the site is called {' or '.join(names)}; name its own in {option}")
    fields = [(option, getattr(options, option)) for option in ("response_sla", "severity_field", "change_type_field")]
    for option, name in [*fields, *(("slas", name) for name in options.slas)]:
        if not site.ids([name]):
            yield Finding(option, f"no field is called {name}")
    for what, kind in (("deadlines", SLA), ("request types", REQUEST_TYPE), ("satisfaction", FEEDBACK)):
        if kind not in site.types:
            yield Finding(what, f"there is no such field; without Jira Service Management there are no {what}")


def unmatched(options: Options, types: Sequence[str]) -> Iterable[Finding]:
    """Which option matches no type of issue, where it goes by types: then there are no such records."""
    for option in ("incidents", "changes"):
        which: Which = getattr(options, option)
        items = [{"fields": {"issuetype": {"name": name}}} for name in types]
        if which.field == TYPE and not any(map(which.holds, items)):
            yield Finding(option, f"no type of issue is one of them; there are {', '.join(dict.fromkeys(types))}")
