"""The config that is written for a connector: its sample, with what must be edited, and the rest commented out."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from exporter.render.connectors import About, about

KEY = re.compile(r"(?:- |  )([a-z_]+):.*")
ANY_KEY = re.compile(r"(\s*(?:- )?([a-z_]+): )([^#]*[^#\s])?(?:\s+# (.*))?")
IN_FILE = re.compile(r"([a-z_]+)_file: ([^\s,}]+)")
VARIABLE = re.compile(r'"\$\{([A-Z0-9_]+)\}"')
EDIT = "EDIT"
REACHES = {
    *(
        "name",
        "type",
        "url",
        "auth",
        "header",
        "scheme",
        "username",
        "password",
        "password_file",
        "token",
        "token_file",
    ),
    *("api_key", "api_key_file", "secret", "secret_file"),
}
"""Keys of a sample without which no platform is reached."""
OWN = {"url", "username", "client_id", "token_url"}
"""Keys whose value in the sample is nobody's."""


@dataclass(frozen=True)
class Block:
    """A config with one source, and what is to be done before it works."""

    text: str
    variables: Sequence[str]  # of the environment, to be set
    edits: Sequence[str]  # keys to be edited
    about: About


def config(name: str) -> Block:
    """The config for a connector."""
    known = about(name)
    required = {option.key for option in known.options if option.default == "required"}
    lines = [*_lines(_first(known.sample), required, name)]
    active = [line for line in lines if not line.lstrip().startswith("#")]
    head = [
        "# Made by `outcome-exporter init`. Replace what is marked EDIT; lines behind # are optional.",
        f"# {known.title}",
        f"# All keys: outcome-exporter connectors {name}, and deploy/config.example.yaml",
        "",
        "sources:",
    ]
    edits = [found[2] for line in active if f"# {EDIT}" in line and (found := ANY_KEY.fullmatch(line))]
    variables = [*dict.fromkeys(each for line in active for each in VARIABLE.findall(line.partition(" # ")[0]))]
    return Block("\n".join([*head, *lines, ""]), variables, edits, known)


def _first(sample: str) -> Iterator[str]:
    """The first source of a sample."""
    begun = False
    for line in sample.splitlines():
        if line.startswith("- "):
            if begun:
                return
            begun = True
        if line.strip():
            yield line


def _lines(sample: Iterator[str], required: set[str], name: str) -> Iterator[str]:
    """The sample; keys that are not needed, with what is below them, behind #."""
    active = True
    for line in sample:
        key = KEY.fullmatch(line)
        active = key[1] in REACHES | required if key else active
        comment = line.lstrip().startswith("#")
        if active and not comment:
            yield f"  {_edited(_from_environment(line, name), required)}"
        else:
            yield f"  {line}" if comment else f"    # {line.removeprefix('  ')}"


def _edited(line: str, required: set[str]) -> str:
    """A line, marked if its value must be replaced."""
    found = ANY_KEY.fullmatch(line)
    if not found or found[2] not in OWN | (required - {"record"}):
        return line
    more = f": {found[4]}" if found[4] else ""
    return f"{found[1]}{found[3] or ''}".rstrip() + f" # {EDIT}{more}"


def _from_environment(line: str, name: str) -> str:
    """Credentials in files as those in the environment."""
    value, mark, comment = line.partition(" # ")
    prefix = name.upper().replace("-", "_")
    return IN_FILE.sub(lambda found: f'{found[1]}: "${{{prefix}_{found[1].upper()}}}"', value) + mark + comment
