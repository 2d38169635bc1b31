"""A document's data against the type it should have: every mistake, with its line, path and the nearest known word."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from pydantic import BaseModel, GetJsonSchemaHandler, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, ErrorDetails, to_json

from exporter.base.strict_yaml import At, Document, Mistake, did_you_mean, path_text

T = TypeVar("T")


class _OneOrMore:
    def __get_pydantic_json_schema__(self, shape: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        made = handler(shape)
        return {"anyOf": [made["items"], made]}


ONE_OR_MORE = _OneOrMore()
"""Marks, in Annotated, a list that may be written as its only element."""

WORDS = {
    "missing": "this key is missing",
    "string_type": "this is not a text; put quotes around it",
    "bool_type": "this is neither true nor false",
    "int_type": "this is not a whole number",
    "int_from_float": "this is not a whole number",
    "float_type": "this is not a number",
    "finite_number": "this is not a finite number",
    "list_type": "this is not a list; write [one, two]",
    "tuple_type": "this is not a list; write [one, two]",
    "dict_type": "this is not a mapping; write key: value",
    "mapping_type": "this is not a mapping; write key: value",
    "model_type": "this is not a mapping; write key: value",
    "dataclass_type": "this is not a mapping; write key: value",
    "greater_than": "this must be more than {gt:g}",
    "greater_than_equal": "this must be at least {ge:g}",
    "less_than": "this must be less than {lt:g}",
    "less_than_equal": "this must be at most {le:g}",
    "too_short": "too few entries; the minimum is {min_length}",
    "too_long": "too many entries; the maximum is {max_length}",
    "string_too_short": "this is empty",
    "string_pattern_mismatch": "this does not match the pattern {pattern}",
    "value_error": "{error}",
}
"""pydantic's kind of error -> our words. Never the value: it may be a secret."""


class Checker:
    """Reads parts of one document and collects the mistakes."""

    def __init__(self, document: Document, mistakes: Sequence[Mistake] = ()) -> None:
        self.document = document
        self.mistakes = list(mistakes)
        self._known = {(mistake.line, mistake.path) for mistake in mistakes}

    def wrong(self, at: At, message: str) -> None:
        """Notes a mistake, unless the place already has one: the first is the cause."""
        mistake = self.document.mistake(at, message)
        if (mistake.line, mistake.path) not in self._known:
            self._known.add((mistake.line, mistake.path))
            self.mistakes.append(mistake)

    def read(self, shape: type[T], data: Any, at: At) -> T | None:
        """The data as `shape`, after noting mistakes; faulty keys are left out, so that the rest can be read."""
        data = self._known_keys(shape, data, at)
        try:
            read: T = _adapter(cast(Any, shape)).validate_json(to_json(data), strict=True)
        except ValidationError as error:
            found = error.errors(include_url=False, include_input=False)
        else:
            return read
        for item in found:
            self._translate(item, at)
        remaining = data
        for item in found:
            remaining = _without(remaining, item["loc"])
        return None if remaining == data else self.read(shape, remaining, at)

    def unknown(self, what: str, word: str, known: Sequence[str], at: At, *, owner: str = "") -> None:
        """Notes a word that is not among the known ones. `owner`: whose it would be."""
        no_such = f"{owner} has no {what}" if owner else f"there is no {what}"
        self.wrong(at, f"{no_such} {word!r}; {did_you_mean(word, known)}")

    def clean(self, at: At) -> bool:
        """Whether nothing is wrong at or below a place."""
        path = path_text(at)
        return not any(
            mistake.path == path or mistake.path.startswith((f"{path}.", f"{path}[")) for mistake in self.mistakes
        )

    def _translate(self, item: ErrorDetails, at: At) -> None:
        for part in item["loc"]:
            # pydantic's names for the branches of a union are no part of the document.
            if (*at, part) in self.document.lines or item["type"] == "missing":
                at = (*at, part)
        if item["type"] in ("missing", "too_short") and not self.clean(at):
            return  # it only lacks what is faulty itself
        context: dict[str, Any] = dict(item.get("ctx", {}))
        if item["type"] in ("literal_error", "enum"):
            allowed = context["expected"].replace(" or ", ", ").replace("'", "")
            self.wrong(at, f"this is not one of the allowed values: {allowed}")
            return
        words = WORDS.get(item["type"])
        self.wrong(at, words.format_map(context) if words else item["msg"].lower())

    def _known_keys(self, shape: Any, data: Any, at: At) -> Any:
        """The data without keys that the shape does not have; these are noted."""
        if _one_or_more(shape) and not isinstance(data, list) and not (data is None and NoneType in _branches(shape)):
            return [self._known_keys(_inner(shape), data, at)]
        keys = _keys(shape)
        if keys is not None and isinstance(data, dict):
            for key in data:
                if key not in keys:
                    self.unknown("key", key, list(keys), (*at, key))
            return {key: self._known_keys(keys[key], value, (*at, key)) for key, value in data.items() if key in keys}
        inner = _inner(shape)
        if inner is not None and isinstance(data, dict):
            return {key: self._known_keys(inner, value, (*at, key)) for key, value in data.items()}
        if inner is not None and isinstance(data, list):
            return [self._known_keys(inner, value, (*at, i)) for i, value in enumerate(data)]
        return data


def _without(data: Any, path: Sequence[str | int]) -> Any:
    """The data without the innermost key on a path; positions in lists are kept, as mistakes name them."""
    place, owner, key = data, None, ""
    for part in path:
        if isinstance(place, dict) and part in place:
            owner, key = place, str(part)
            place = place[part]
        elif isinstance(place, list) and isinstance(part, int) and part < len(place):
            place = place[part]
        else:
            break
    return _copied(data, owner, key) if owner is not None else data


def _copied(data: Any, owner: Any, key: str) -> Any:
    if isinstance(data, dict):
        return {k: _copied(v, owner, key) for k, v in data.items() if not (data is owner and k == key)}
    return [_copied(each, owner, key) for each in data] if isinstance(data, list) else data


# What follows from a shape alone is found once: a config reads the same few shapes for each of more than 100 KPIs.


@cache
def _adapter(shape: Any) -> TypeAdapter[Any]:
    return TypeAdapter(shape)


@cache
def _keys(shape: Any) -> Mapping[str, Any] | None:
    """The keys that a shape has, and the shape of each; None where it is none with fixed keys."""
    for each in _branches(shape):
        if isinstance(each, type) and issubclass(each, BaseModel):
            return {field.alias or name: field.annotation for name, field in each.model_fields.items()}
        if isinstance(each, type) and is_dataclass(each):
            hints, noted = get_type_hints(each), get_type_hints(each, include_extras=True)
            return {_key(field.name, noted[field.name]): hints[field.name] for field in fields(each)}
    return None


def _key(name: str, noted: Any) -> str:
    """The key of a dataclass's field: its name, unless another is noted beside its type."""
    beside = getattr(noted, "__metadata__", ())
    return next((each.alias for each in beside if isinstance(each, FieldInfo) and each.alias), name)


@cache
def _inner(shape: Any) -> Any:
    """The shape of what a list or mapping holds."""
    for each in _branches(shape):
        origin = get_origin(each)
        if isinstance(origin, type) and issubclass(origin, Mapping):
            return get_args(each)[1]
        if isinstance(origin, type) and issubclass(origin, Sequence):
            return get_args(each)[0]
    return None


@cache
def _one_or_more(shape: Any) -> bool:
    """Whether a list, or one branch of a union that is a list, may be written as its only element."""
    branches = get_args(shape) if get_origin(shape) in (Union, UnionType) else [shape]
    return any(ONE_OR_MORE in getattr(each, "__metadata__", ()) for each in branches)


@cache
def _branches(shape: Any) -> Sequence[Any]:
    """A shape, or the members of a union, without what is noted beside them."""
    shape = _bare(shape)
    return [_bare(each) for each in get_args(shape)] if get_origin(shape) in (Union, UnionType) else [shape]


def _bare(shape: Any) -> Any:
    return get_args(shape)[0] if hasattr(shape, "__metadata__") else shape
