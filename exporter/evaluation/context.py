"""The basis of facts files: views of the records that count, tables of settings, slices of time, shared macros."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

from exporter.base.deferred import Deferred
from exporter.catalogue import facts as catalogue
from exporter.evaluation.business_time import tabulate_days
from exporter.evaluation.plan import (
    Plan,
    RecurringCost,
    ServiceSetting,
    Setting,
    SourceSetting,
    TeamSetting,
    WorkflowSetting,
)
from exporter.records import RECORDS
from exporter.store import kept
from exporter.store.file import STAYS
from exporter.store.status import SourceStatus

if TYPE_CHECKING:
    import duckdb
else:
    duckdb = Deferred("duckdb")

Connection: TypeAlias = "duckdb.DuckDBPyConnection"  # not loaded for its name alone
SQL_TYPES = {"Literal": "varchar", "str": "varchar", "datetime": "timestamp", "bool": "boolean"}
"""Word in the type of a setting -> type of its column; of all others double."""
TABLES: Mapping[str, type[Any]] = {
    "workflow": WorkflowSetting,
    "service": ServiceSetting,
    "team": TeamSetting,
    "source": SourceSetting,
    "cost": RecurringCost,
}

MADE = "facts_made"
"""The variable of a connection that holds the names of the facts whose macros it has."""

SETTLED = "settled"
"""The variable of a connection that says for which plan, sources and year it has views, settings and working days."""

MACROS = """
create or replace temp macro moments(from_at timestamp, to_at timestamp, turns timestamp[]) as
  case when from_at = to_at then [from_at]
  else list_distinct(list_append(list_filter(turns, lambda t: t > from_at and t <= to_at), from_at)) end;
create or replace temp macro next_moment(instant timestamp, turns timestamp[]) as
  list_min(list_filter(turns, lambda t: t > instant));
create or replace temp macro first_come(instant timestamp, times timestamp[]) as
  list_filter(times, lambda t: t <= instant)[1];
create or replace temp macro all_of(one, more) as coalesce(
  nullif(list_sort(list_distinct(list_filter(list_prepend(one, more), lambda s: nullif(trim(s), '') is not null))), []),
  [null::varchar]);
create or replace temp macro out_of_sight(end_at timestamp, since timestamp, from_at timestamp) as
  end_at + (from_at - since) + interval 1 microsecond;
create or replace temp macro inventory() as table
with listed as (
  select *, coalesce('=' || name, source || '/' || id) as workflow,
    -- A source that names no owner (no dependency) at all does not know them.
    bool_or(len(owners) > 0) over (partition by source) as knows_owners,
    bool_or(len(dependencies) > 0) over (partition by source) as knows_dependencies
  from workflow
),
-- Listed more than once, it is still one workflow; it stands where it is enabled and its team is known.
merged as (
  select name,
    arg_min({'source': source, 'id': id, 'url': url, 'team': team,
      'business_unit': business_unit, 'region': region, 'cohort': cohort},
      (not coalesce(enabled, false), team is null, source, id)) as place,
    bool_or(enabled) as enabled, bool_and(exportable) as exportable,
    list_distinct(flatten(list(owners) filter (where owners is not null))) as owners,
    bool_or(knows_owners) as owners_told,
    list_distinct(flatten(list(dependencies) filter (where dependencies is not null))) as dependencies,
    bool_or(knows_dependencies) as dependencies_told
  from listed group by workflow, name
)
select unnest(place), * exclude (place) from merged;
"""


def prepare(
    connection: Connection,
    plan: Plan,
    at: datetime,
    sources: Sequence[SourceStatus],
    facts: Iterable[str] | None = None,
    *,
    snapshot: bool = False,
) -> None:
    """Creates what facts read: views of the records of configured sources, settings, slices of time, macros.

    `facts`: those that will be read, if not all. `snapshot`: whether one transaction is open until all is read: what
    is kept is good for the records that it sees, and for no later ones.
    """
    names = [source.source for source in sources]
    query = f"select current_database(), getvariable('{SETTLED}')"
    [(database, settled)] = connection.execute(query).fetchall()
    wanted = plan.settled(database, *names, utc(at).year)
    if settled != wanted:
        settle(connection, database, plan, names, utc(at).year)
        connection.execute(f"set variable {SETTLED} = ?", [wanted])
    for each in kept.every():
        view_kept(connection, database, each, names, snapshot=snapshot)
    cut(connection, plan, at)
    make_macros(connection, catalogue.every() if facts is None else sorted(facts))


def settle(connection: Connection, database: str, plan: Plan, sources: Sequence[str], year: int) -> None:
    """Creates what is the same at every instant of a year: views of records, settings and working days."""
    quoted = ", ".join("'" + name.replace("'", "''") + "'" for name in sources) or "null"
    for record in RECORDS:
        # A source that left the config keeps its rows in the store, but counts no longer.
        connection.execute(
            f'create or replace temp view "{record}" as from "{database}".main."{record}" where source in ({quoted})'
        )
    for name, kind in TABLES.items():
        tabulate(connection, name, kind, plan.tables[f"{name}_settings"])
    tabulate_days(connection, plan.calendars, year)
    for table in [*(f"{name}_settings" for name in TABLES), "open_days"]:
        connection.execute(f"comment on table {table} is '{STAYS}'")
    connection.execute(f"set variable run_timeout_seconds = {float(plan.run_timeout)}")
    connection.execute(f"set variable person_day_seconds = {float(plan.person_day_seconds)}")
    connection.execute(f"set variable shared_cost = '{plan.shared_cost}'")
    for name, seconds in longest([*plan.settings, *plan.not_computed]).items():
        connection.execute(f"set variable {name}_seconds = {seconds}")


def view_kept(
    connection: Connection, database: str, each: kept.Kept, sources: Sequence[str], *, snapshot: bool
) -> None:
    """Creates the view kept_<record>: records with what they need of each other, worked out here if it is not kept."""
    if snapshot and kept.whole(connection, database, each, sources):
        columns = ", ".join(f'"{kept.stored_as(name)}" as "{name}"' for name in each.columns)
        view = f'select *, {columns} from "{each.record}"'
    else:
        connection.execute(each.text)
        columns = ", ".join(f'k."{name}"' for name in each.columns)
        view = f'select r.*, {columns} from "{each.record}" r left join {each.record}_kept() k using (source, id)'
    connection.execute(f"create or replace temp view kept_{each.record} as {view}")


@contextmanager
def snapshot(connection: Connection) -> Iterator[None]:
    """All that is read sees one committed state."""
    connection.begin()
    try:
        yield
    except BaseException:
        with suppress(duckdb.Error):  # of a connection that was closed meanwhile; what went wrong first is said
            connection.rollback()
            # Variables stay where what they tell of is gone.
            for name in (MADE, SETTLED):
                connection.execute(f"reset variable {name}")
        raise
    connection.commit()


def make_macros(connection: Connection, facts: Iterable[str]) -> None:
    """Makes the macros of facts that the connection has not: they are the same at any instant and for any plan."""
    [(made,)] = connection.execute(f"select coalesce(getvariable('{MADE}'), [])").fetchall()
    needed = dict.fromkeys(base for name in facts for base in catalogue.with_bases(name))
    if lacking := [name for name in needed if name not in made]:
        connection.execute("" if made else MACROS)
        for name in lacking:
            connection.execute(catalogue.facts(name).text)
        remember_macros(connection, [*made, *lacking])


def remember_macros(connection: Connection, made: Sequence[str]) -> None:
    """Whose macros the connection has as their facts say; whoever puts others in their place remembers none."""
    connection.execute(f"set variable {MADE} = ?::varchar[]", [made])


def cut(connection: Connection, plan: Plan, at: datetime) -> None:
    """Creates a temporary table of the slices of time between one window and the next, all ending at a time."""
    bounds = [0, *(seconds for _, seconds in plan.windows)]
    edges = [utc(at) - timedelta(seconds=bound) for bound in bounds]
    connection.execute("create or replace temp table spans (span_begin timestamp, span_end timestamp)")
    connection.execute(
        "insert into spans select unnest(?::timestamp[]), unnest(?::timestamp[])", [edges[1:], edges[:-1]]
    )


def tabulate(connection: Connection, name: str, kind: type[Any], settings: Mapping[str, Any]) -> None:
    """Creates a temporary table <name>_settings from the config, with a row for each name."""
    columns = [f.name for f in fields(kind)]
    types = [next((sql for word, sql in SQL_TYPES.items() if word in str(f.type)), "double") for f in fields(kind)]
    declared = ", ".join(f"{column} {kind}" for column, kind in zip(columns, types, strict=True))
    connection.execute(f"create or replace temp table {name}_settings ({name} varchar, {declared})")
    if not settings:
        return
    values = [[getattr(setting, column) for setting in settings.values()] for column in columns]
    unnested = ", ".join(f"unnest(?::{kind}[])" for kind in ["varchar", *types])
    connection.execute(f"insert into {name}_settings select {unnested}", [list(settings), *values])


def longest(settings: Sequence[Setting]) -> dict[str, str]:
    """Each duration that KPIs have as a parameter, the longest where several set it; null where none does.

    Facts read it as getvariable('<name>_seconds'): what happens later than that matters to no KPI.
    """
    durations: dict[str, list[float]] = {}
    for setting in settings:
        for name, param in setting.kpi.params.items():
            if param.type == "duration":
                configured = setting.params.get(name, "null")
                durations.setdefault(name, []).extend([] if configured == "null" else [float(configured)])
    return {name: str(max(values)) if values else "null" for name, values in durations.items()}


def utc(at: datetime) -> datetime:
    """An aware time as the store keeps it: UTC, without zone."""
    return at.astimezone(UTC).replace(tzinfo=None)
