"""As much of JSON Schema draft 7 as the schemas of Grafana dashboards use: an object in, what is wrong with it out."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

TYPES: Mapping[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "null": type(None),
}
SAYS_NOTHING = {
    "$schema",
    "default",
    "definitions",
    "deprecated",
    "description",
    "format",
    "title",
    "x-deprecation-message",
}
# Not looked at: limits of numbers and lengths of texts, and what each of two values is.
LIMITS = {"exclusiveMaximum", "exclusiveMinimum", "maxLength", "maximum", "minLength", "minimum", "prefixItems"}
SAYS = {"maxItems", "maxProperties", "minItems", "minProperties", "pattern"}
SAYS |= {
    "$ref",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "enum",
    "items",
    "oneOf",
    "properties",
    "propertyNames",
}
SAYS |= {"required"}
KNOWN = SAYS_NOTHING | LIMITS | SAYS | {"type"}


def faults(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any], at: str = "") -> Iterator[str]:
    """Where and how a value differs from a schema."""
    if unknown := set(schema) - KNOWN:
        raise NotImplementedError(f"{at}: this schema uses {sorted(unknown)}")
    if "$ref" in schema:
        yield from faults(value, root["definitions"][schema["$ref"].removeprefix("#/definitions/")], root, at)
        return
    kind = schema.get("type")
    if kind and (not isinstance(value, TYPES[kind]) or (isinstance(value, bool) and kind != "boolean")):
        yield f"{at}: {value!r} is no {kind}"
        return
    yield from _value(value, schema, at)
    for part in schema.get("allOf", ()):
        yield from faults(value, part, root, at)
    for word in ("anyOf", "oneOf"):
        if word in schema:
            found = [list(faults(value, part, root, at)) for part in schema[word]]
            if all(found):
                yield from min(found, key=len)  # of the branch that comes nearest
    if isinstance(value, dict):
        yield from _object(value, schema, root, at)
    if isinstance(value, list) and "items" in schema:
        for i, item in enumerate(value):
            yield from faults(item, schema["items"], root, f"{at}[{i}]")


def _value(value: Any, schema: Mapping[str, Any], at: str) -> Iterator[str]:
    if "enum" in schema and value not in schema["enum"]:
        yield f"{at}: {value!r} is none of {schema['enum']}"
    if "const" in schema and value != schema["const"]:
        yield f"{at}: {value!r} is not {schema['const']!r}"
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{at}: {value!r} does not match {schema['pattern']}"
    if isinstance(value, list) and not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
        yield f"{at}: {len(value)} are too few or too many"


def _object(value: Mapping[str, Any], schema: Mapping[str, Any], root: Mapping[str, Any], at: str) -> Iterator[str]:
    known, others = schema.get("properties", {}), schema.get("additionalProperties", True)
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{at}: {name} is missing"
    for name, item in value.items():
        yield from faults(name, schema.get("propertyNames", {}), root, f"{at}.{name}")
        if name in known:
            yield from faults(item, known[name], root, f"{at}.{name}")
        elif others is False:
            yield f"{at}: {name} is not known"
        elif isinstance(others, dict):
            yield from faults(item, others, root, f"{at}.{name}")
