"""`outcome-exporter new connector`: writes the files of a connector for an imagined platform, in a checkout.

What is written works, and says `FILL: ...` at each place where the platform at hand will be another than the imagined
one. The tests refuse a connector with such a place in it (tests/connectors/unfinished.py).
"""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from keyword import iskeyword
from pathlib import Path
from typing import Any, get_args

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from exporter import records

TEMPLATES = Path(__file__).parent / "connector"
FILES = {
    "connector.py": "exporter/connectors/{}/__init__.py",
    "mapping.py": "exporter/connectors/{}/mapping.py",
    "sample.yaml": "exporter/connectors/{}/sample.yaml",
    "fake.py": "tests/fakes/{}.py",
    "suite.py": "tests/connectors/{}/suite.py",
    "truth.py": "tests/connectors/{}/truth.py",
    "test.py": "tests/connectors/{0}/test_{0}.py",
    "": "tests/connectors/{}/__init__.py",
}
"""Template -> where it is written; an empty file has none."""
REGISTRY = "exporter/connectors/__init__.py"
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
QUOTE = '"'
MARK = re.compile(r"FILL: (.*)")
TESTS = ("tests/test_connectors.py", "tests/test_connectors_time.py", "tests/test_truth.py", "tests/test_samples.py")
"""Those of every connector."""
PAGINGS = ("link", "token", "offset", "key")
AUTHS = ("token", "api-key", "oauth")


@dataclass(frozen=True)
class Shape:
    """A record as the imagined platform has it: what its items are called there, and when each begins and ends.

    `words`: where no column says how an item stands: their words, and whether it has ended.
    """

    items: str
    begin: str
    end: str
    column: str
    words: Mapping[str, bool] | None = None


SHAPES = {
    "run": Shape("runs", "started_at", "finished_at", "status"),
    "request": Shape("tickets", "opened_at", "resolved_at", "outcome"),
    "incident": Shape("incidents", "opened_at", "resolved_at", "resolved_at", {"OPEN": False, "RESOLVED": True}),
    "change": Shape("changes", "requested_at", "deployed_at", "result"),
    "booking": Shape("bookings", "booked_at", "starts_at", "outcome"),
}
"""By the record that a connector begins with; it may bring others, too."""


class CannotWrite(ValueError):  # noqa: N818 - named by what is wrong
    """Why nothing was written, in words for the person who asked."""


def connector(root: Path, name: str, *, record: str, paging: str, auth: str) -> list[str]:
    """Writes the files of a connector and its line in the registry; the paths, relative to the checkout at `root`."""
    if not (root / REGISTRY).is_file() or not (root / "tests/connectors").is_dir() or not TEMPLATES.is_dir():
        raise CannotWrite("this works in a checkout of the project only; change to its folder first")
    if not NAME.fullmatch(name) or iskeyword(name):
        raise CannotWrite(f"{name!r} is no name of a connector; write it like jira or request-tracker")
    folder = name.replace("-", "_")
    places = {template: place.format(folder) for template, place in FILES.items()}
    if there := [place for place in places.values() if (root / place).exists()]:
        raise CannotWrite(f"{there[0]} exists already; choose another name")
    registry = registered((root / REGISTRY).read_text(encoding="utf-8"), name, folder)
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - makes Python and YAML
    )
    environment.filters["names"] = imported
    values = {"name": name, "folder": folder, "paging": paging, "auth": auth, **naming(name), **shaped(record)}
    values["place"] = "cursor" if paging in ("link", "token") else "offset"
    texts = {
        place: environment.get_template(f"{template}.jinja").render(values) if template else ""
        for template, place in places.items()
    }
    for place, text in texts.items():
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_text(text, encoding="utf-8")
    (root / REGISTRY).write_text(registry, encoding="utf-8")
    return [*places.values(), REGISTRY]


def places(root: Path, files: Iterable[str]) -> Iterator[str]:
    """What is to be filled in there, as `file:line: what`. The paths are relative to `root`."""
    for name in files:
        for number, line in enumerate((root / name).read_text(encoding="utf-8").splitlines(), 1):
            if mark := MARK.search(line):
                yield f"{name}:{number}: {mark[1].rstrip(QUOTE)}"


def imported(names: list[str]) -> str:
    """The names of an import that are not empty, in order."""
    return ", ".join(sorted(filter(None, names), key=lambda name: (name.islower(), name)))


def naming(name: str) -> dict[str, str]:
    """The platform in words, and as a class."""
    words = [word.capitalize() for word in name.split("-")]
    return {"title": " ".join(words), "Class": "".join(words)}


def shaped(record: str) -> dict[str, Any]:
    """What the templates need to know of a record."""
    shape, kind = SHAPES[record], records.RECORDS[record]
    types = {each.name: each.type for each in fields(kind)}
    literal = next((each for each in get_args(types[shape.column]) if get_args(each)), None)
    if shape.words:
        words = [(theirs, str(ours)) for theirs, ours in shape.words.items()]
    else:
        words = [(ours.upper(), f'"{ours}"') for ours in get_args(literal)]
    return {
        "record": record,
        "Record": kind.__name__,
        "items": shape.items,
        "begin": shape.begin,
        "end": shape.end,
        "column": shape.column,
        "TABLE": "ENDED" if shape.words else shape.column.upper(),
        "Word": next((name for name, each in vars(records).items() if literal and each == literal), ""),
        "words": words,
        "begin_vital": shape.begin in records.VITAL_COLUMNS[kind],
    }


def registered(text: str, name: str, folder: str) -> str:
    """The registry with one more connector, in order, where types are checked; it is found there by its folder."""
    lines = text.splitlines()
    imports, table = None, None
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module == "exporter.connectors":
            imports = node
        if isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Dict):
            table = node.value
    if imports is None or table is None or imports.end_lineno is None:
        raise CannotWrite(f"{REGISTRY} has another shape than expected; add the connector to it by hand")
    before = [each for each in table.keys if isinstance(each, ast.Constant) and str(each.value) < name]
    at = before[-1].lineno if before else table.lineno
    lines.insert(at, f'        "{name}": {folder},')  # the table stands below the imports
    modules = sorted({*(each.name for each in imports.names), folder})
    names = ["    from exporter.connectors import (", *(f"        {module}," for module in modules), "    )"]
    lines[imports.lineno - 1 : imports.end_lineno] = names
    return "\n".join(lines) + "\n"
