"""What a Jira site calls things: its projects, its custom fields and its statuses."""

import json
from collections.abc import Sequence
from datetime import timedelta
from functools import partial

from exporter.collect import paging
from exporter.collect.http import Answer, Client, NotUnderstood
from exporter.connectors.jira.issue import Site
from exporter.connectors.jira.options import Options
from exporter.records import Json

ABOUT_ONCE = timedelta(hours=1)  # how long names hold
SERVICE = "service_desk"


def whole(page: Answer) -> bool:
    """Is it the last page by number? Jira may give fewer items than it was asked for."""
    before, total = page.find("startAt"), page.find("total")
    if isinstance(before, int) and isinstance(total, int):
        return before + len(page.items) >= total
    return not page.items


by_number = partial(paging.by_offset, size_as="maxResults", offset_as="startAt", last=whole)


async def known(client: Client, options: Options) -> Site:
    """What the site calls things. Whether somebody is logged in is asked every time: a search answers nobody, too."""
    memory = client.memory
    server = await memory.remembered("server", ABOUT_ONCE, partial(server_of, client))
    await client.get(f"{server['api']}/myself")
    names = await memory.remembered("names", ABOUT_ONCE, partial(names_of, client, server["api"]))
    projects = options.projects
    if not projects:
        projects = await memory.remembered("projects", ABOUT_ONCE, partial(service_projects, client, server["api"]))
    if not projects:
        raise NotUnderstood("the account sees no service project; name others under projects")
    return Site(**server, **names, projects=projects)


async def server_of(client: Client) -> Json:
    answer = await client.ask("/rest/api/2/serverInfo")
    kind, web = answer.find("deploymentType"), answer.find("baseUrl")
    if not isinstance(kind, str) or not isinstance(web, str):
        raise NotUnderstood(f"{answer.where}: no baseUrl and deploymentType; is this the address of Jira?")
    return {"api": "/rest/api/3" if kind == "Cloud" else "/rest/api/2", "web": web.rstrip("/")}


async def names_of(client: Client, api: str) -> Json:
    """Custom fields and statuses by id."""
    fields, types = dict[str, list[str]](), dict[str, list[str]]()
    for field in (await client.ask(f"{api}/field")).listed():
        if its := client.learnt("fields", custom, field):
            fields[its[0]], kind = its[1], its[2]
            types.setdefault(kind, []).append(its[0])
    statuses = [client.learnt("statuses", status, each) for each in (await client.ask(f"{api}/status")).listed()]
    return {"names": fields, "types": types, "statuses": dict(each for each in statuses if each)}


def custom(field: Json) -> tuple[str, list[str], str] | None:
    """A custom field: its id, its names and its type."""
    if not field["custom"]:
        return None
    names = [str(field["name"]), *([str(field["untranslatedName"])] if field.get("untranslatedName") else [])]
    return str(field["id"]), [*dict.fromkeys(names)], str((field.get("schema") or {}).get("custom"))


def status(given: Json) -> tuple[str, list[str]]:
    return str(given["id"]), [str(given["name"]), str(given["statusCategory"]["key"])]


async def service_projects(client: Client, api: str) -> list[str]:
    if api.endswith("/2"):
        found = (await client.ask(f"{api}/project")).listed()
    else:
        path, params = f"{api}/project/search", {"typeKey": SERVICE}
        pages = by_number(client, path, params, items="values", size=50)
        found = [project async for page in pages for project in page.items]
    service = [project for project in found if isinstance(project, dict) and project.get("projectTypeKey") == SERVICE]
    return sorted(str(project.get("key")) for project in service)


def among(projects: Sequence[str]) -> str:
    return f"project in ({', '.join(json.dumps(each) for each in projects)})"
