"""The samples of the connectors (`<platform>/sample.yaml`): what their keys mean; the sources of the example config."""

import re
from dataclasses import fields
from pathlib import Path

from exporter import connectors
from exporter.collect.contract import Connector, option_key

FOLDER = Path(connectors.__file__).parent
EVERY_SOURCE = FOLDER / "sample.yaml"
"""The keys that every source may have."""

KEY = re.compile(r"(?:- |  )(\w+):")
COMMENT = re.compile(r"""(?:"[^"]*"|'[^']*'|[^"'])*?(?<!\S)# (.*)""")
SOURCES = re.compile(r"(?<=^sources:\n)(?:(?: .*)?\n)*(?=^\S)", re.MULTILINE)
NOTE = "  # Made by `outcome-exporter render` from exporter/connectors/**/sample.yaml: edit those.\n"


def path_of(connector: Connector) -> Path:
    """Where a connector's sample stands."""
    return FOLDER / connector.__name__.rpartition(".")[2] / "sample.yaml"


def sample(connector: Connector) -> str:
    """A connector's source as a user would write it: one or more entries of `sources`, not indented."""
    return path_of(connector).read_text(encoding="utf-8")


def meanings(connector: Connector) -> dict[str, str]:
    """Each option's key, in the order of the sample -> what it means."""
    comment_of, keys = comments(sample(connector)), [option_key(option.name) for option in fields(connector.Options)]
    return {key: text for key, text in comment_of.items() if key in keys} | {
        key: "" for key in keys if key not in comment_of
    }


def comments(text: str) -> dict[str, str]:
    """Each key of a sample's sources -> what is said of it in the lines right above it, and then behind it."""
    comment_of, above = dict[str, str](), list[str]()
    for line in text.splitlines():
        comment = COMMENT.match(line)
        if line.lstrip().startswith("#"):
            above += [comment[1]] if comment else []
            continue
        if key := KEY.match(line):
            comment_of.setdefault(key[1], " ".join([*above, *([comment[1]] if comment else [])]))
        above = []
    return comment_of


def example(text: str) -> str:
    """The example config with its sources as the samples have them, the keys of every source first."""
    paths = [EVERY_SOURCE, *(path_of(connectors.CONNECTORS[name]) for name in sorted(connectors.CONNECTORS))]
    blocks = (path.read_text(encoding="utf-8").rstrip("\n") for path in paths)
    lines = "\n\n".join(blocks).splitlines()
    made = NOTE + "".join(f"  {line}\n" if line else "\n" for line in lines)
    return SOURCES.sub(lambda _: f"{made}\n", text, count=1)
