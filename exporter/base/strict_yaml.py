"""YAML that refuses mistakes: duplicate keys, words that YAML 1.1 turns into something else, tags, alias bombs.

Every mistake of a file is found in one reading, and each names file, line and path:
`config.yaml:12: sources[0].interval: what is wrong; what would be right`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Protocol, cast

import yaml

At = tuple[str | int, ...]
"""Where in a document: keys and list positions from the top."""

LARGEST_FILE = 4 * 1024 * 1024
MOST_VALUES = 100_000  # counted with every alias written out: a handful of lines can stand for billions of values
DEEPEST = 50

WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9]{0,99})(\.[0-9]+([eE][-+]?[0-9]{1,2})?|[eE][-+]?[0-9]{1,2})")
OTHER_NUMBER = (
    "YAML does not read this as the number it looks like; put quotes around a text, or write a decimal number"
)
SURPRISES = {
    "bool": "YAML reads this bare word as true or false; write true or false, or put quotes around a text",
    "int": OTHER_NUMBER,
    "float": OTHER_NUMBER,
    "timestamp": "YAML reads a bare date or time in its own way; put quotes around it",
    "merge": "the merge key << is not supported; write the keys out",
    "value": "a bare = has a meaning of its own in YAML; put quotes around it",
}


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing wrong in a file. Line 0: the file as a whole."""

    file: str
    line: int
    path: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.path}: {self.message}" if self.path else f"{place}: {self.message}"


class Mistakes(Exception):  # noqa: N818 - it is several; callers print it as it is
    """All mistakes of a file, in its order; the text has a line for each."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = sorted(mistakes, key=lambda mistake: (mistake.file, mistake.line))
        super().__init__("\n".join(map(str, self.mistakes)))


@dataclass(frozen=True, slots=True)
class Document:
    """A file's data, and the line each path of it is on."""

    data: Any
    file: str
    lines: dict[At, int] = field(default_factory=dict, repr=False)

    def line(self, at: At) -> int:
        """The line of `at`, or of the nearest thing around it that is in the file."""
        while at and at not in self.lines:
            at = at[:-1]
        return self.lines.get(at, 1)

    def mistake(self, at: At, message: str) -> Mistake:
        """A mistake at a place of this document."""
        return Mistake(self.file, self.line(at), path_text(at), message)


def load(path: Path | str) -> Document:
    """The document in a file. Raises Mistakes."""
    document, mistakes = read_yaml(path)
    if mistakes:
        raise Mistakes(mistakes)
    return document


def shipped(path: Path) -> Document:
    """The document in a file that comes with the exporter. Raises Mistakes.

    Read by PyYAML's loader in C, where there is one: ten times as fast, but it lets a tab pass here and there.
    """
    document, mistakes = _built(getattr(yaml, "CSafeLoader", yaml.SafeLoader), path.read_text("utf-8"), str(path))
    if mistakes:
        raise Mistakes(mistakes)
    return document


def read_yaml(path: Path | str) -> tuple[Document, list[Mistake]]:
    """The readable part of a document, and its mistakes. Raises Mistakes if nothing can be read."""
    file = str(path)
    try:
        with Path(path).open("rb") as opened:
            content = opened.read(LARGEST_FILE + 1)
    except OSError as error:
        raise Mistakes([Mistake(file, 0, "", _unreadable(error))]) from None
    if len(content) > LARGEST_FILE:
        raise Mistakes([Mistake(file, 0, "", f"the file is larger than {LARGEST_FILE // 1024 // 1024} MiB")])
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise Mistakes([Mistake(file, line, "", "this is not UTF-8 text; save the file as UTF-8")]) from None
    return parse(text, file)


def parse(text: str, file: str) -> tuple[Document, list[Mistake]]:
    """Like `read_yaml`, but of a text; `file` is its name in mistakes."""
    try:
        return _built(yaml.SafeLoader, text, file)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise Mistakes([Mistake(file, line, "", f"character {error.character:#x} is not allowed in YAML")]) from None
    except yaml.MarkedYAMLError as error:
        raise Mistakes([Mistake(file, _line(error.problem_mark), "", _fault(error))]) from None


def _built(loader: type[Any], text: str, file: str) -> tuple[Document, list[Mistake]]:
    builder = _Builder(file)
    data = builder.document(cast(_Events, loader(text)))
    return Document(data, file, builder.lines), builder.mistakes


def text(content: Any) -> str:
    """Content as a document that reads as the same content."""
    return yaml.dump(content, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True, width=120)


def path_text(at: At) -> str:
    """`("sources", 0, "url")` -> "sources[0].url"."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in at).removeprefix(".")


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """The advice after an unknown word: the nearest known one, or all that are known."""
    words = sorted(known)
    near = get_close_matches(str(word).lower(), words, n=1, cutoff=0.7)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"known: {', '.join(words)}" if words else "nothing is known here"


def _fault(error: yaml.MarkedYAMLError) -> str:
    if "stream end" in str(error.problem) or "end of stream" in str(error.problem):
        return "this is not YAML: the file ends inside a quote or bracket"
    return f"this is not YAML: {error.problem}"


def _unreadable(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, IsADirectoryError):
        return "this is a folder; name a file"
    return f"the file cannot be read: {error.strerror}"


def _line(mark: Any) -> int:
    return mark.line + 1 if mark is not None else 0


class _Events(Protocol):
    """The part of a PyYAML loader used here (its own types leave these out)."""

    def check_event(self, *choices: type[yaml.Event]) -> bool: ...
    def peek_event(self) -> Any: ...
    def get_event(self) -> Any: ...
    def resolve(self, kind: type[yaml.Node], value: str, implicit: tuple[bool, bool]) -> str: ...


class _Builder:
    """Builds values from YAML events, so that every value is checked before it is built."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.lines: dict[At, int] = {}
        self.mistakes: list[Mistake] = []
        self._anchors: dict[str, tuple[Any, list[tuple[At, int]]]] = {}
        self._values = 0

    def document(self, loader: _Events) -> Any:
        loader.get_event()  # the stream
        if loader.check_event(yaml.StreamEndEvent):
            return None
        loader.get_event()  # the document
        data = self._value(loader, ())
        loader.get_event()  # the document's end
        if not loader.check_event(yaml.StreamEndEvent):
            mark = loader.peek_event().start_mark
            self._wrong((), mark, "a second document begins here; a file holds one")
        return data

    def _wrong(self, at: At, mark: Any, message: str) -> None:
        self.mistakes.append(Mistake(self.file, _line(mark), path_text(at), message))

    def _value(self, loader: _Events, at: At) -> Any:
        event = loader.get_event()
        self.lines.setdefault(at, _line(event.start_mark))
        self._count(event)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, at)
        if event.tag is not None:
            self._wrong(at, event.start_mark, f"the tag {event.tag} is not supported; write the plain value")
        if len(at) > DEEPEST:
            raise Mistakes([Mistake(self.file, _line(event.start_mark), "", f"nested deeper than {DEEPEST} levels")])
        if isinstance(event, yaml.ScalarEvent):
            value = self._scalar(loader, event, at)
        elif isinstance(event, yaml.SequenceStartEvent):
            value = self._list(loader, at)
        else:
            value = self._mapping(loader, at)
        if event.anchor is not None:
            inside = [(path[len(at) :], line) for path, line in self.lines.items() if path[: len(at)] == at]
            self._anchors[event.anchor] = (value, inside)
        return value

    def _count(self, event: Any, values: int = 1) -> None:
        self._values += values
        if self._values > MOST_VALUES:
            message = f"the file has more than {MOST_VALUES} values once its aliases are expanded; split the file"
            raise Mistakes([Mistake(self.file, _line(event.start_mark), "", message)])

    def _alias(self, event: yaml.AliasEvent, at: At) -> Any:
        if event.anchor not in self._anchors:  # also one that stands inside its own anchor
            self._wrong(at, event.start_mark, f"no anchor &{event.anchor} ends before this alias")
            return None
        value, inside = self._anchors[event.anchor]
        self._count(event, len(inside))
        for path, _ in inside:
            self.lines.setdefault(at + path, _line(event.start_mark))
        return value

    def _list(self, loader: _Events, at: At) -> list[Any]:
        values: list[Any] = []
        while not loader.check_event(yaml.SequenceEndEvent):
            values.append(self._value(loader, (*at, len(values))))
        loader.get_event()
        return values

    def _mapping(self, loader: _Events, at: At) -> dict[str, Any]:
        values: dict[str, Any] = {}
        while not loader.check_event(yaml.MappingEndEvent):
            mark = loader.peek_event().start_mark
            key = self._key(loader, at)
            inside = (*at, key)
            if key in values:
                first = self.lines[inside]
                self._wrong(inside, mark, f"this key is already on line {first}; keep one of the two")
                self._value(loader, (*at, f"{key} (again)"))
                continue
            self.lines[inside] = _line(mark)
            values[key] = self._value(loader, inside)
        loader.get_event()
        return values

    def _key(self, loader: _Events, at: At) -> str:
        event = loader.peek_event()
        known = len(self.mistakes)
        if not isinstance(event, yaml.ScalarEvent):
            key: Any = self._value(loader, (*at, "(key)"))
            self._wrong(at, event.start_mark, "a key must be text, not a list, a mapping or an alias")
            return str(event.start_mark.index)
        key = self._scalar(loader, loader.get_event(), (*at, event.value))
        if not isinstance(key, str) and len(self.mistakes) == known:
            self._wrong((*at, event.value), event.start_mark, f"a key must be text; put quotes around '{event.value}'")
        return str(event.value).encode(errors="replace").decode()

    def _scalar(self, loader: _Events, event: yaml.ScalarEvent, at: At) -> Any:
        """The value of a word; a word that YAML 1.1 would turn into something else is a mistake."""
        text = event.value
        if not text.isascii() and any("\ud800" <= sign <= "\udfff" for sign in text):
            self._wrong(at, event.start_mark, "half a character (a lone surrogate) is no text")
            return ""
        if event.style or event.tag is not None:  # of a bare word it is None or, from the loader in C, ""
            return text
        if text in WORDS:
            return WORDS[text]
        if INTEGER.fullmatch(text):
            return int(text)
        if DECIMAL.fullmatch(text):
            return float(text)
        kind = loader.resolve(yaml.ScalarNode, text, (True, False)).rpartition(":")[2]
        if kind != "str":
            self._wrong(at, event.start_mark, SURPRISES[kind])  # without the text: it may be a secret
        return text
