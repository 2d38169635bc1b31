"""JMESPath: expressions in a config that say where something stands in a platform's JSON.

Only those whose cost grows no faster than the item they look in: whoever writes a config cannot stop the process by it.
What builds values (multi-select, functions that take expressions or make texts) is left out, because two such steps
double what is there, and thirty make a billion of it. Only of what is at once made one value again, as in sum([a, b]),
a list may be built.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jmespath
from jmespath import visitor
from jmespath.exceptions import JMESPathError, JMESPathTypeError

from exporter.records import Json
from exporter.records.unreadable import Unreadable

LONGEST = 200
BUILDS = {"multi_select_list": "[a, b]", "multi_select_dict": "{a: b}", "expref": "&"}
FUNCTIONS = frozenset(
    [
        *("abs", "avg", "ceil", "contains", "ends_with", "floor", "keys", "length", "max", "min", "not_null"),
        *("reverse", "sort", "starts_with", "sum", "to_array", "to_number", "type", "values"),
    ]
)
MAKE_ONE = frozenset({"avg", "max", "min", "sum"})
"""Functions that make one value of a list."""
SIDE_BY_SIDE = frozenset(
    [
        *("or_expression", "and_expression", "not_expression", "comparator"),
        *("function_expression", "multi_select_list"),
    ]
)
"""Nodes whose parts all look in the same item; those of others look in what the first has found."""

Node = Mapping[str, Any]


def path_fault(text: str) -> str:
    """What is wrong with an expression; empty where nothing is."""
    if len(text) > LONGEST:
        return f"this expression is longer than {LONGEST} characters"
    try:
        nodes = list(_nodes(jmespath.compile(text).parsed))
    except RecursionError:
        return "this expression is nested too deeply"
    except (JMESPathError, ValueError, TypeError):
        return 'this is no JMESPath expression; write it like data.items, or "odd-key" for a key with other signs'
    return next(filter(None, map(_node_fault, nodes)), "")


def _node_fault(node: Node) -> str:
    kind, said = node["type"], node.get("value")
    if kind in BUILDS:
        return f"{BUILDS[kind]} is not supported, as it builds values; an expression may only choose among them"
    if kind == "literal" and isinstance(said, list | dict) and said:
        return "a literal may only be a text, a number, true, false, null or []"
    if kind == "function_expression" and said not in FUNCTIONS:
        return f"the function {said} is not supported; known: {', '.join(sorted(FUNCTIONS))}"
    return ""


class _Interpreter(visitor.TreeInterpreter):
    """Compares numbers that are written as texts as numbers: as texts "9" comes after "10"."""

    def visit_comparator(self, node: Any, value: Json) -> Json:
        if node["value"] not in ("eq", "ne"):
            left, right = (self.visit(child, value) for child in node["children"])
            if _whole(left) and _whole(right):
                return self.COMPARATOR_FUNC[node["value"]](int(left), int(right))
        return super().visit_comparator(node, value)


def _whole(given: Json) -> bool:
    """Whether it is a whole number, also one that is written as a text."""
    return type(given) is int or (isinstance(given, str) and given.isdecimal() and len(given) < LONGEST)


def path(text: str) -> Callable[[Json], Json]:
    """A function that finds what an expression says; None where nothing is there. Raises Unreadable."""
    parsed = jmespath.compile(text).parsed

    def find(item: Json) -> Json:
        try:
            return _Interpreter().visit(parsed, item)
        except JMESPathTypeError as error:
            if error.actual_type == "null":  # of a field that the item lacks
                return None
        except (JMESPathError, TypeError, ValueError, ArithmeticError, RecursionError):
            pass
        raise Unreadable("wrong_shape", "has another shape than the expression expects")

    return find


def fields_of(text: str) -> frozenset[str]:
    """The fields of an item that an expression looks in, as dotted paths."""
    return frozenset(_leads(jmespath.compile(text).parsed))


def _nodes(node: Node) -> Iterator[Node]:
    yield node
    for child in node["children"]:
        if isinstance(child, dict):  # those of a slice are numbers
            list_made_one = child["type"] == "multi_select_list" and node.get("value") in MAKE_ONE
            for part in child["children"] if list_made_one else (child,):
                yield from _nodes(part)


def _leads(node: Node) -> Iterator[str]:
    """The first fields of each branch of an expression."""
    if names := _dotted(node):
        yield ".".join(names)
        return
    children = [each for each in node["children"] if isinstance(each, dict)]
    for child in children if node["type"] in SIDE_BY_SIDE else children[:1]:
        yield from _leads(child)


def _dotted(node: Node) -> list[str]:
    """The names of a plain path; empty for any other expression."""
    if node["type"] == "field":
        return [str(node["value"])]
    parts = [_dotted(child) for child in node["children"]] if node["type"] == "subexpression" else []
    return [name for part in parts for name in part] if all(parts) else []
