"""The config that is written for a proposal: commented, with every guess marked where it is made."""

import glob
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

from exporter.connectors.files.mapping import PLAIN_WORD, WORDS_OF_YAML, key_of, safe
from exporter.proposal import Proposal
from exporter.proposal.tables import plain
from exporter.proposal.words import Entry
from exporter.records import RECORDS, SEGMENTS
from exporter.records.columns import COLUMNS

WIDTH = 110
GUESS = "GUESS"
ONE_OR_MORE = ("time_format",)  # keys whose value need not be a list
CONSTANTS = {
    "request": {"handled_by": ("human", "if people handle all of them")},
    "run": {"workflow": ("NAME", "if all are of one")},
}
"""Record -> columns that one value may fill, if the file does not: the value, and when."""
NAME = re.compile(r"[^a-z0-9]+")


def config(proposal: Proposal, output: Path, name: str) -> str:
    """The text of a config with one source."""
    return "\n".join([*_head(proposal), *_labels(proposal), "", "sources:", *_source(proposal, output, name), ""])


def source_name(path: Path) -> str:
    """The name of a source, after its file."""
    return NAME.sub("-", plain(path.name.split(".")[0])).strip("-") or "export"


def _head(proposal: Proposal) -> Iterator[str]:
    count = f"{len(proposal.sample.rows):,} rows"
    seen = f"all {count}" if proposal.sample.whole else f"the first {count}"
    yield f"# Made by `outcome-exporter init` from {seen} of {_shown(proposal.sample.path.name)}."
    if proposal.guesses:
        yield f"# Lines marked {GUESS} change values if they are wrong: correct them, or delete the mark."
    yield f"# Columns of the record: outcome-exporter records {proposal.record}; other keys: deploy/config.example.yaml"


def _labels(proposal: Proposal) -> Iterator[str]:
    """The labels: the usual ones as far as the file fills them, or else the first one that it fills."""
    record = RECORDS[proposal.record]
    filled = {each.column for each in proposal.entries}
    usual = [name for name in record.DEFAULT_LABELS if name in filled]
    chosen = usual or [name for name in record.LABELS if name in filled][:1]
    if chosen and tuple(chosen) != record.DEFAULT_LABELS:
        more = [name for name in record.LABELS if name in filled and name not in chosen]
        yield ""
        yield "labels:"
        yield f"  {proposal.record}: [{', '.join(chosen)}]" + (
            f" # the file also fills {', '.join(more)}" if more else ""
        )


def _source(proposal: Proposal, output: Path, name: str) -> Iterator[str]:
    marks = {each.key: each.text for each in proposal.guesses}
    path = proposal.sample.path.parent.resolve() / proposal.sample.path.name
    where = os.path.relpath(path, output.parent.resolve())
    where = str(path) if where.startswith("..") else where
    where = glob.escape(where) if path.exists() else where
    yield f"  - name: {scalar(name)}"
    yield "    type: files"
    yield f"    path: {scalar(where)} # a pattern such as exports/*.csv reads every file that matches"
    yield _marked(f"    record: {proposal.record}", marks.get("record"))
    for key, value in proposal.sample.layout.items():
        yield f"    {key}: {scalar(value)}"
    for key, value in proposal.keys.items():
        yield _marked(f"    {key}: {flow(value, key)}", marks.get(key))
    fields = _fields(proposal)
    yield "    columns: # name in the file: column of the record"
    for entry in proposal.entries:
        if entry.column not in fields:
            yield from _column(entry, proposal.others.get(entry.column, ()), proposal.record)
    if ignored := proposal.ignored:
        yield from _comment(f"Not read: {', '.join(map(_shown, ignored))}", "      ")
    yield '      "*": ""'
    own = {column: entries for column, entries in fields.items() if column not in SEGMENTS}
    for part, rules in (("segments", {key: fields[key] for key in fields.keys() - own.keys()}), ("fields", own)):
        if rules:
            yield f"    {part}:"
        for column, entries in rules.items():
            yield from _alternatives(column, entries, proposal.record)
    for column, (value, when) in CONSTANTS.get(proposal.record, {}).items():
        if column in proposal.missing:
            constant = f"{column}: {{ value: {value} }}"
            yield f"      # {constant} # {when}" if own else f"    # fields: {{ {constant} }} # {when}"
    if proposal.missing:
        yield from _comment(
            f"KPIs also need, and nothing in the file seems to be: {', '.join(proposal.missing)}", "    "
        )


def _fields(proposal: Proposal) -> dict[str, list[Entry]]:
    """What `columns` cannot say: columns that several of theirs fill, and sums of them."""
    of: dict[str, list[Entry]] = {}
    for entry in proposal.entries:
        of.setdefault(entry.column, []).append(entry)
    return {column: found for column, found in of.items() if len(found) > 1 or "query" in found[0].rule}


def _column(entry: Entry, others: Sequence[str], record: str) -> Iterator[str]:
    notes = [*entry.notes, *([f"or {', '.join(map(_shown, others))}"] if others else [])]
    tail = _tail("; ".join(notes), guess=bool(entry.notes))
    key = f"      {key_of(entry.theirs)}:"
    if not entry.rule:
        yield f"{key} {entry.column}{tail}"
        return
    rule = {"to": entry.column, **entry.rule}
    if _short(rule, entry):
        yield f"{key} {flow(rule)}{tail}"
        return
    yield key + tail
    yield from (f"        {line}" for line in _block(rule, entry, record))


def _alternatives(column: str, entries: Sequence[Entry], record: str) -> Iterator[str]:
    """Rules of which the first that finds something counts."""
    several = len(entries) > 1
    if several:
        yield f"      {column}: # the first that says something counts"
    for entry in entries:
        rule = {**({} if "query" in entry.rule else {"from": entry.theirs}), **entry.rule}
        tail = _tail("; ".join(entry.notes), guess=bool(entry.notes))
        if _short(rule, entry):
            yield f"        - {flow(rule)}{tail}" if several else f"      {column}: {flow(rule)}{tail}"
            continue
        first, *others = _block(rule, entry, record)
        if not several:
            yield f"      {column}:"
        yield f"        {'- ' if several else ''}{first}{tail}"
        yield from (f"        {'  ' if several else ''}{line}" for line in others)


def _short(rule: Mapping[str, Any], entry: Entry) -> bool:
    """Whether a rule is written on one line."""
    return len(flow(rule)) <= WIDTH - 20 and not entry.of_words and not entry.unknown


def _block(rule: Mapping[str, Any], entry: Entry, record: str) -> Iterator[str]:
    """A rule on lines of its own, and a word of its map on each."""
    for name, value in rule.items():
        if name != "map":
            yield f"{name}: {flow(value, name)}"
            continue
        yield "map:"
        for word, ours in value.items():
            yield f"  {key_of(word)}: {scalar(ours)}{_tail(entry.of_words.get(word, ''), guess=True)}"
    if entry.unknown:
        known = ", ".join(sorted(COLUMNS[RECORDS[record]][entry.column].words))
        yield f"  # These words are not known. Write what each means: {known}"
        yield from (f"  # {key_of(word)}: ..." for word in entry.unknown)


def _marked(line: str, guess: str | None) -> str:
    return line + _tail(guess or "", guess=True)


def _tail(mark: str, *, guess: bool) -> str:
    return f" # {f'{GUESS}: ' if guess else ''}{mark}" if mark else ""


def _comment(text: str, before: str) -> Iterator[str]:
    return (f"{before}# {line}" for line in wrap(text, WIDTH - len(before)))


def _shown(name: str) -> str:
    return name if safe(name) else "..."


def flow(value: Any, name: str = "") -> str:
    """A value on one line of YAML."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key_of(str(key))}: {flow(each, key)}" for key, each in value.items()) + " }"
    if isinstance(value, Sequence) and not isinstance(value, str):
        if len(value) == 1 and name in ONE_OR_MORE:
            return scalar(value[0])
        return f"[{', '.join(map(flow, value))}]"
    return scalar(value)


def scalar(value: Any) -> str:
    """A text, number, truth or nothing as YAML has it."""
    if value is None or isinstance(value, bool | int | float):
        return json.dumps(value)
    bare = PLAIN_WORD.fullmatch(value) and not WORDS_OF_YAML.fullmatch(value)
    return value if bare else json.dumps(value, ensure_ascii=False)
