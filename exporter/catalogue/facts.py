"""The headers of facts files, which describe their rows (see exporter/facts/README.md). Their SQL is not parsed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal, get_args

from exporter.base.strict_yaml import did_you_mean

FOLDER = Path(__file__).parents[1] / "facts"
CREATE = "create or replace temp macro "
Rows = Literal["interval", "instant", "constant"]
"""interval: each row says from when until when it holds. instant: rows are asked anew at each instant. constant: rows
are the same at any instant."""
Scope = Literal["shared", "longest", "general"]
"""Whose value of a parameter facts know. shared: that of the shipped KPI which has it. longest: each KPI has its own,
and facts look as far as the longest. general: one of the whole config."""
NOTHING = "nothing"
KEYS = ("rows", "placed by", "from", "params", "changes", "money", "looks back", "shows", "looks up")


class HeaderError(ValueError):
    """A mistake in a header; the text says where it is and what would be right."""


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter of the config that rows depend on. `columns`: those that only a KPI with this parameter may use."""

    name: str
    scope: Scope
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ColumnChange:
    """A column that does not stay while its row holds. `sql`: what it is at `to_at`; without, it is worked out from
    facts that are asked at each instant. `configured`: (settings, field) without which it stays after all.
    """

    sql: str | None = None
    configured: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class LookUp:
    """A column that is looked up for the rows that an explanation shows, where a KPI asks for the column `beside`."""

    name: str
    beside: str
    sql: str


@dataclass(frozen=True, slots=True)
class Macro:
    """A table macro of a facts file: its header. `reads`: tables, `inventory` and other macros.

    `looks_back`: columns for which a row needs records that were over before it; None: it may be any. `shows`: columns
    that an explanation shows though no KPI asks for them. `look_ups`: what it looks up beside.
    """

    name: str
    rows: Rows
    reads: tuple[str, ...]
    placed_by: tuple[str, ...] = ()
    params: tuple[Param, ...] = ()
    changes: Mapping[str, ColumnChange] = field(default_factory=dict)
    money: tuple[str, ...] = ()
    looks_back: frozenset[str] | None = None
    shows: tuple[str, ...] = ()
    look_ups: tuple[LookUp, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """A facts file. `macros`: its table macros, the last of which has the rows that KPIs count."""

    name: str
    text: str
    macros: Mapping[str, Macro]
    helpers: tuple[str, ...]  # macros of single values

    @property
    def main(self) -> Macro:
        """The macro whose rows KPIs count."""
        return self.macros[f"{self.name}_facts"]

    @property
    def reads(self) -> tuple[str, ...]:
        """What all its macros are made from, but for each other."""
        every = dict.fromkeys(name for macro in self.macros.values() for name in macro.reads)
        return tuple(name for name in every if name not in self.macros)

    @property
    def params(self) -> tuple[Param, ...]:
        """The values of the config that it is worked out with."""
        return tuple(param for macro in self.macros.values() for param in macro.params)

    @property
    def sql(self) -> str:
        """Its text without comments."""
        return "\n".join(line.partition("--")[0] for line in self.text.split("\n"))


def read(name: str, text: str) -> Facts:
    """Parses a facts file. Raises HeaderError, naming the line, if a header is missing or wrong."""
    macros: dict[str, Macro] = {}
    helpers: list[str] = []
    header: list[tuple[int, str, str]] = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith(CREATE):
            macro, _, rest = line.removeprefix(CREATE).partition("(")
            if rest.endswith(" as table"):
                macros[macro] = _macro(f"{name}.sql", number, macro, header)
            else:
                helpers.append(macro)
            header = []
        elif line.startswith("--"):
            header += _entry(f"{name}.sql", number, line)
        elif line:
            header = []
    if f"{name}_facts" not in macros:
        raise HeaderError(f"{name}.sql: there is no table macro {name}_facts; write {CREATE}{name}_facts(...) as table")
    return Facts(name, text, macros, tuple(helpers))


def _entry(file: str, number: int, line: str) -> Iterator[tuple[int, str, str]]:
    """What a comment declares: `-- key: value`; any other is for people."""
    key, colon, value = line.removeprefix("--").partition(":")
    key = key.strip()
    if colon and (key in KEYS or (key.isidentifier() and key.islower())):
        if key not in KEYS:
            raise HeaderError(f"{file}:{number}: a header has no {key!r}; {did_you_mean(key, KEYS)}")
        yield number, key, value.strip()


def _macro(file: str, number: int, name: str, header: list[tuple[int, str, str]]) -> Macro:
    given: dict[str, list[tuple[str, str]]] = {key: [] for key in KEYS}
    for line, key, value in header:
        given[key].append((f"{file}:{line}: {key}", value))
    for key in ("rows", "from"):
        if len(given[key]) != 1:
            raise HeaderError(
                f"{file}:{number}: {name} needs one line `-- {key}: ...` above it; it has {len(given[key])}"
            )
    [(place, rows)], [(_, reads)] = given["rows"], given["from"]
    if rows not in get_args(Rows):
        raise HeaderError(f"{place}: write {', '.join(get_args(Rows))}, not {rows!r}")
    return Macro(
        name,
        rows,  # type: ignore[arg-type]  # one of Rows, as has just been seen
        _names(reads),
        placed_by=tuple(time for _, value in given["placed by"] for time in _names(value)),
        params=tuple(_param(place, value) for place, value in given["params"]),
        changes={column: change for place, value in given["changes"] for column, change in _changes(place, value)},
        money=tuple(column for _, value in given["money"] for column in _names(value)),
        looks_back=frozenset(name for _, value in given["looks back"] for name in _names(value) if name != NOTHING)
        if given["looks back"]
        else None,
        shows=tuple(column for _, value in given["shows"] for column in _names(value)),
        look_ups=tuple(_look_up(place, value) for place, value in given["looks up"]),
    )


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for each in text.split(",") if (name := each.strip()))


def _param(place: str, text: str) -> Param:
    """NAME SCOPE [in COLUMNS]"""
    words, _, columns = text.partition(" in ")
    name, _, scope = words.strip().partition(" ")
    if not name.isidentifier() or scope not in get_args(Scope):
        example = "-- params: stale_after shared in stale"
        raise HeaderError(f"{place}: after the name comes {', '.join(get_args(Scope))}, as in `{example}`")
    return Param(name, scope, _names(columns))  # type: ignore[arg-type]  # one of Scope, as has just been seen


def _look_up(place: str, text: str) -> LookUp:
    """NAME beside COLUMN = SQL"""
    what, _, sql = text.partition(" = ")
    name, beside, column = what.partition(" beside ")
    if not (name.strip() and beside and column.strip() and sql.strip()):
        raise HeaderError(f"{place}: write `NAME beside COLUMN = SQL`, where COLUMN is one that KPIs ask for")
    return LookUp(name.strip(), column.strip(), sql.strip())


def _changes(place: str, text: str) -> Iterator[tuple[str, ColumnChange]]:
    """COLUMN = SQL, or COLUMNS [if SETTINGS.FIELD]"""
    column, equals, sql = text.partition(" = ")
    if equals:
        yield column.strip(), ColumnChange(sql.strip())
        return
    columns, _, setting = text.partition(" if ")
    settings, _, name = setting.strip().partition(".")
    if bool(settings) != bool(name):
        raise HeaderError(f"{place}: after `if` comes a setting, such as workflow_settings.category")
    for each in _names(columns):
        yield each, ColumnChange(configured=(settings, name) if name else None)


@cache
def facts(name: str) -> Facts:
    """A facts file of the exporter."""
    return read(name, (FOLDER / f"{name}.sql").read_text())


@cache
def every() -> tuple[str, ...]:
    """The names of all facts."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.sql")))


@cache
def file_of() -> Mapping[str, str]:
    """Macro -> the facts that make it."""
    return {macro: name for name in every() for macro in (*facts(name).macros, *facts(name).helpers)}


@cache
def with_bases(name: str) -> tuple[str, ...]:
    """The facts that others build on, in the order in which their macros can be created; they themselves come last."""
    below = sorted({file_of()[each] for each in facts(name).reads if each in file_of()})
    return tuple(dict.fromkeys((*(each for base in below for each in with_bases(base)), name)))


@cache
def kept_rows(macro: str) -> tuple[str, ...]:
    """The macros that give rows for an interval, of those that a macro is made of; it itself where it is one."""
    said = macro_of(macro)
    below = [each for each in said.reads if each in table_macros()]
    if said.rows == "interval" and not below:
        return (macro,)
    return tuple(dict.fromkeys(base for each in below for base in kept_rows(each)))


@cache
def table_macros() -> frozenset[str]:
    """The names of all table macros of facts."""
    return frozenset(macro for name in every() for macro in facts(name).macros)


def macro_of(name: str) -> Macro:
    """A table macro of any facts."""
    return facts(file_of()[name]).macros[name]
