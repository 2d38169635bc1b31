"""The connectors' headers -> exporter/connectors/README.md."""

import re
from dataclasses import MISSING, Field, fields
from typing import Any

from exporter.collect.contract import Connector
from exporter.connectors import CONNECTORS
from exporter.records import record_name

WORDS = ("API", "Polls", "Cursor", "Blind", "Checked")
INTRODUCTION = """<!-- Made from the modules' headers by `outcome-exporter render`; do not edit. -->
# Connectors

One folder per platform: it knows how to ask and what an answer means, and nothing else. `../collect/contract.py` says
what each must have; `<platform>/mapping.py` holds what its items mean.

To add one: copy a neighbour, name it in `__init__.py`, give it a folder in `tests/connectors/` with a `suite.py` (the
contract suite then holds it to the contract) and a `truth.py` (a few items and the records that they are: every word of
every table is in one), and run `make render`.
"""


def page() -> str:
    """The whole page."""
    rows = "\n".join(
        f"| [`{name}`](#{name}) | {title(module)} | {', '.join(f'`{record_name(kind)}`' for kind in module.RECORDS)} |"
        for name, module in sorted(CONNECTORS.items())
    )
    table = f"| type | what becomes what | records |\n|---|---|---|\n{rows}\n"
    return "\n".join([INTRODUCTION, table, *(section(name, CONNECTORS[name]) for name in sorted(CONNECTORS))])


def section(name: str, module: Connector) -> str:
    """One connector: its five words, and its own keys in the configuration."""
    words = "\n".join(f"- **{word}**: {text}" for word, text in header(module).items())
    options = ", ".join(f"`{option.name}` ({default(option)})" for option in fields(module.Options))
    return f"## {name}\n\n{title(module)}\n\n{words}\n- **Options**: {options}\n"


def title(module: Connector) -> str:
    """The first line of a module's header."""
    return escaped((module.__doc__ or "").partition("\n")[0])


def header(module: Connector) -> dict[str, str]:
    """The five words -> what the module says under each, on one line."""
    text = module.__doc__ or ""
    parts = re.split(rf"^({'|'.join(WORDS)})\s", text, flags=re.MULTILINE)[1:]
    return {word: escaped(" ".join(said.split())) for word, said in zip(parts[::2], parts[1::2], strict=True)}


def default(option: "Field[Any]") -> str:
    """What holds when a key is left out."""
    value = option.default_factory() if option.default_factory is not MISSING else option.default
    if value is MISSING or value in ("", (), {}, None):
        return "required" if value is MISSING else "none"
    return ", ".join(f"`{each}`" for each in (value if isinstance(value, tuple) else (value,)))


def escaped(text: str) -> str:
    """As Markdown, where angle brackets and bars mean something."""
    return text.replace("<", "&lt;").replace("|", "\\|")
