"""What users need to know about each connector, from its docstring, options and sample, for the terminal and as a page.

`about` gathers it; `page` makes exporter/connectors/README.md of it, `cli.about` text.
"""

import re
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from importlib import resources
from typing import Any

import yaml

from exporter import connectors
from exporter.base import duration
from exporter.collect.contract import Connector, option_key
from exporter.connectors import CONNECTORS
from exporter.records import record_name
from exporter.render import samples

WORDS = ("API", "Access", "Polls", "Cursor", "Blind", "Checked")
"""The words of a header. Cursor is for those who read the code."""
AFTER = ("Blind", "Checked")
"""Those to be read last."""

INTRODUCTION = """<!-- Made from the connectors' headers and samples by `outcome-exporter render`; do not edit. -->
# Connectors

What the exporter reads, and what it needs for that. `outcome-exporter connectors` lists them in the terminal,
`outcome-exporter connectors NAME` shows what stands here of one. Keys that every source may have, such as `interval`,
`segments` and `fields`, are explained in [config.example.yaml](../../deploy/config.example.yaml).

Each is a folder that knows how to ask a platform and what an answer means, and nothing else;
[contract.py](../collect/contract.py) says what it must have. To add one: `outcome-exporter new connector NAME`, see
[CONTRIBUTING.md](../../CONTRIBUTING.md).
"""

CHECKS = """## What each has been shown to do

One row is one test of the contract (tests/test_connectors.py) or of meaning (tests/test_truth.py). A dash is a check
that a platform gives no reason for; the reasons are below the table. Nothing stands where a check is about HTTP and
the connector does not ask over it, or about an earlier form of a cursor that it never had. `make test` prints the table
and compares it with this one.
"""


@dataclass(frozen=True)
class Option:
    """One key of a connector's own: what holds where it is left out, and what it means."""

    key: str
    default: str
    meaning: str


@dataclass(frozen=True)
class About:
    """One connector. `says`: what its header says under each word that is for users, on one line."""

    name: str
    title: str
    records: tuple[str, ...]
    says: Mapping[str, str]
    sample: str
    options: tuple[Option, ...]

    def before(self) -> list[tuple[str, str]]:
        """(word, text) to be read before the sample."""
        return [(word, text) for word, text in self.says.items() if word not in AFTER]

    def source(self) -> list[str]:
        """The sample as the lines of a config."""
        return ["sources:", *(f"  {line}".rstrip() for line in self.sample.splitlines())]

    def after(self) -> list[tuple[str, str]]:
        """(word, text) to be read after the options."""
        return [(word, text) for word, text in self.says.items() if word in AFTER]


def about(name: str) -> About:
    """What there is to know about a connector, by its `type` in the config."""
    connector = CONNECTORS[name]
    defaults = {option_key(option.name): default(option) for option in fields(connector.Options)}
    meanings = samples.meanings(connector)
    return About(
        name=name,
        title=(connector.__doc__ or "").partition("\n")[0],
        records=tuple(record_name(kind) for kind in connector.RECORDS),
        says={word: text for word, text in header(connector).items() if word != "Cursor"},
        sample=samples.sample(connector),
        options=tuple(Option(key, defaults[key], meaning) for key, meaning in meanings.items()),
    )


def header(connector: Connector) -> dict[str, str]:
    """The words of a header -> what it says under each, on one line."""
    text = connector.__doc__ or ""
    parts = re.split(rf"^({'|'.join(WORDS)})\s", text, flags=re.MULTILINE)[1:]
    return {word: " ".join(text_of.split()) for word, text_of in zip(parts[::2], parts[1::2], strict=True)}


def default(option: "Field[Any]") -> str:
    """What holds when a key is left out, as the config writes it."""
    value = option.default_factory() if option.default_factory is not MISSING else option.default
    if value is MISSING or value in ("", (), {}, None):
        return "required" if value is MISSING else "none"
    if option.name != option_key(option.name):
        return duration.text(value)
    if is_dataclass(value) and not isinstance(value, type):
        given = {each.name: getattr(value, each.name) for each in fields(value)}
        names = {"field": "from"} if "from_" in given else {}  # as it is written nowadays
        value = {names.get(name, name): each for name, each in given.items() if each not in ("", None)}
    if isinstance(value, Mapping):
        return yaml.safe_dump(dict(value), default_flow_style=True, width=10_000, sort_keys=False).strip()
    return ", ".join(f"{each}" for each in (value if isinstance(value, tuple) else (value,)))


def page() -> str:
    """The text of exporter/connectors/README.md."""
    all_ = [about(name) for name in sorted(CONNECTORS)]
    rows = [f"| [`{each.name}`](#{each.name}) | {escaped(each.title)} | {code(*each.records)} |" for each in all_]
    table = "\n".join(["| type | what becomes what | records |", "|---|---|---|", *rows, ""])
    return "\n".join([INTRODUCTION, table, *map(section, all_), CHECKS, shipped("checks.md")])


def shipped(name: str) -> str:
    """A text that lies beside the connectors."""
    return (resources.files(connectors) / name).read_text()


def section(each: About) -> str:
    """One connector on the page."""
    lines = [f"## {each.name}", "", escaped(each.title), ""]
    lines += [f"- **{word}**: {escaped(text)}" for word, text in each.before()]
    lines += ["", "```yaml", *each.source(), "```", ""]
    if each.options:
        lines += ["| option | default | meaning |", "|---|---|---|"]
    for option in each.options:
        given = option.default if option.default in ("none", "required") else f"`{option.default}`"
        lines.append(f"| `{option.key}` | {given} | {escaped(option.meaning)} |")
    return "\n".join([*lines, "", *(f"- **{word}**: {escaped(text)}" for word, text in each.after()), ""])


def code(*names: str) -> str:
    return ", ".join(f"`{name}`" for name in names)


def escaped(text: str) -> str:
    """As Markdown, where angle brackets and bars mean something."""
    return text.replace("<", "&lt;").replace("|", "\\|")
