"""What can be changed in a module of a connector: its tables of words, its times, its conditions, its units.

Each mutant is one change. Where a module asks (it holds `poll`), only its tables and its plain functions are changed:
how a platform is asked is no meaning. One that does nothing else (it has async functions, and no `poll`) is left as it
is.
"""

import ast
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from types import CodeType
from typing import Any, Literal, get_args

from exporter import records

TIME = re.compile(r"(?:_at|[a-z]At|_time|^timestamp|^Created|^Resolved|^Due|^LastUpdated|^updated|^created)$")
WORDS = frozenset(
    word
    for name in dir(records)
    for word in get_args(getattr(records, name))
    if name[0].isupper() and isinstance(word, str)
)
"""The words of our own columns."""
RECORD_NAMES = frozenset(record.__name__ for record in records.RECORDS.values())
NOWHERE = "pondering"
OPPOSITES: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Lt: (ast.GtE, ast.LtE),
    ast.LtE: (ast.Gt, ast.Lt),
    ast.Gt: (ast.LtE, ast.GtE),
    ast.GtE: (ast.Lt, ast.Gt),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
OTHER_NAMES = {"any": "all", "all": "any", "min": "max", "max": "min"}
OTHER_UNITS = {"days": "hours", "hours": "minutes", "minutes": "seconds", "seconds": "minutes"}
SIGNS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
}

Kind = Literal["entry", "swap", "time", "word", "condition", "unit", "column"]
Change = Callable[[], Callable[[], None]]
"""Makes a change in the tree; what takes it back."""


@dataclass(frozen=True)
class Mutant:
    """One change: where, of which kind, in words, and the changed module."""

    line: int
    text: str  # of that line
    kind: Kind
    what: str
    code: CodeType

    @property
    def name(self) -> str:
        """What tells it from the others of its module, wherever the line moves."""
        return f"{self.text} | {self.what}"


def mutants(source: str, file: str, kinds: Collection[Kind] = get_args(Kind)) -> Iterator[Mutant]:
    """Every mutant of a module, of some kinds."""
    tree = ast.parse(source)
    for line, text, kind, what, change in places(tree, source):
        if kind in kinds:
            undo = change()
            yield Mutant(line, text, kind, what, compile(tree, file, "exec"))
            undo()


def names(source: str) -> set[str]:
    """How the mutants of a module are called."""
    return {f"{text} | {what}" for _, text, _, what, _ in places(ast.parse(source), source)}


def places(tree: ast.Module, source: str) -> Iterator[tuple[int, str, Kind, str, Change]]:
    """Where something can be changed: line, its text, kind, what; what happens on a line more than once is numbered."""
    lines, seen = source.splitlines(), Counter[str]()
    for node, kind, what, change in changes(tree):
        line = getattr(node, "lineno", 1)
        text = lines[line - 1].strip()
        seen[f"{text} {what}"] += 1
        number = seen[f"{text} {what}"]
        yield line, text, kind, what + f" ({number})" * (number > 1), change


Found = Iterator[tuple[ast.AST, Kind, str, Change]]


def changes(tree: ast.Module) -> Found:
    asking = [node.name for node in tree.body if isinstance(node, ast.AsyncFunctionDef)]
    asks = "poll" in asking
    if asking and not asks:
        return
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            yield from of_table(node.value)
        elif isinstance(node, ast.ClassDef):
            options = node.name == "Options"
            for each in node.body:
                if isinstance(each, ast.AnnAssign) and each.value is not None and options:
                    yield from of_table(each.value)
                elif isinstance(each, ast.FunctionDef) and not asks:
                    yield from of_function(each)
        elif isinstance(node, ast.FunctionDef):
            yield from of_function(node)


def of_table(value: ast.expr) -> Found:
    """A word taken out, and any two words given each other's meaning."""
    nodes = [*ast.walk(value)]
    for table in (node for node in nodes if isinstance(node, ast.Dict)):
        yield from of_meanings(table)
    lists = [node for node in nodes if isinstance(node, ast.Tuple | ast.List | ast.Set) and are_words(node.elts)]
    for words in lists:
        for i, each in enumerate(words.elts):
            yield each, "entry", f"without {ast.unparse(each)}", taken(words.elts, i)
    for one, other in combinations(lists, 2):
        for (i, first), (j, second) in product(enumerate(one.elts), enumerate(other.elts)):
            if ast.dump(first) == ast.dump(second):
                continue
            what = f"{ast.unparse(first)} and {ast.unparse(second)} swapped"
            yield first, "swap", what, exchanged(one.elts, i, other.elts, j)
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch(r"\w+(,\w+)+", node.value):
            for word in (told := node.value.split(",")):
                rest = ",".join(each for each in told if each != word)
                yield node, "entry", f"without {word}", replaced(node, "value", rest)


def of_meanings(table: ast.Dict) -> Found:
    keys = [(i, key) for i, key in enumerate(table.keys) if key is not None]
    for i, key in keys:
        yield key, "entry", f"without {ast.unparse(key)}", dropped(table, i)
    for (i, one), (j, other) in combinations(keys, 2):
        if ast.dump(table.values[i]) != ast.dump(table.values[j]):
            what = f"{ast.unparse(one)} and {ast.unparse(other)} swapped"
            yield one, "swap", what, exchanged(table.values, i, table.values, j)


def are_words(nodes: Sequence[ast.expr]) -> bool:
    constants = [node.value for node in nodes if isinstance(node, ast.Constant)]
    return 0 < len(nodes) == len(constants) and all(isinstance(each, str | bytes) for each in constants)


def of_function(function: ast.FunctionDef) -> Found:
    nodes = [node for statement in function.body for node in meant(statement)]
    yield from of_times(nodes)
    yield from of_words(nodes)
    for node in nodes:
        yield from of_conditions(node)
        yield from of_units(node)
        yield from of_columns(node)


def meant(statement: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a statement that are no text for people and no type."""
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return  # a docstring
    if isinstance(statement, ast.Raise | ast.JoinedStr):
        return
    yield statement
    for name, value in ast.iter_fields(statement):
        if name in ("annotation", "returns"):
            continue
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, ast.AST):
                yield from meant(each)


def of_times(nodes: Sequence[ast.AST]) -> Found:
    """One time taken for another, where it is read, and where it is given to a record."""
    constants = [n for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str) and TIME.search(n.value)]
    for constant in constants:
        for other in sorted({str(each.value) for each in constants} - {constant.value}):
            yield constant, "time", f"{constant.value!r} read from {other!r}", replaced(constant, "value", other)
    attributes = [n for n in nodes if isinstance(n, ast.Attribute) and TIME.search(n.attr)]
    for attribute in attributes:
        for other in sorted({each.attr for each in attributes} - {attribute.attr}):
            yield attribute, "time", f".{attribute.attr} read from .{other}", replaced(attribute, "attr", other)
    for call in (n for n in nodes if isinstance(n, ast.Call)):
        times = [keyword for keyword in call.keywords if keyword.arg and TIME.search(keyword.arg)]
        for one, two in combinations(times, 2):
            yield one.value, "time", f"{one.arg} and {two.arg} swapped", given(one, two)


def of_words(nodes: Sequence[ast.AST]) -> Found:
    """A word taken for another of ours, and a word of the platform that is none."""
    constants = [n for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    ours = sorted({str(each.value) for each in constants if each.value in WORDS})
    for constant in constants:
        if constant.value in WORDS:
            for other in ours:
                if other != constant.value:
                    yield constant, "word", f"{constant.value!r} is {other!r}", replaced(constant, "value", other)
        if constant.value and not TIME.search(str(constant.value)):
            yield constant, "word", f"{constant.value!r} is {NOWHERE!r}", replaced(constant, "value", NOWHERE)


def of_conditions(node: ast.AST) -> Found:
    if isinstance(node, ast.If | ast.IfExp | ast.While):
        yield node.test, "condition", f"not {brief(node.test)}", replaced(node, "test", negated(node.test))
    if isinstance(node, ast.comprehension):
        for i, each in enumerate(node.ifs):
            yield each, "condition", f"not {brief(each)}", put(node.ifs, i, negated(each))
    if isinstance(node, ast.BoolOp):
        other: ast.boolop = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield node, "condition", f"{brief(node)}: and is or", replaced(node, "op", other)
        for i, each in enumerate(node.values):
            neutral = ast.Constant(isinstance(node.op, ast.And))
            yield each, "condition", f"{brief(node)} without {brief(each)}", put(node.values, i, neutral)
    if isinstance(node, ast.Compare):
        for i, op in enumerate(node.ops):
            for opposite in OPPOSITES[type(op)]:
                yield node, "condition", f"{brief(node)}: {opposite.__name__}", put(node.ops, i, opposite())
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield node, "condition", f"{brief(node)}: no not", replaced(node, "op", ast.UAdd())
    if isinstance(node, ast.Name) and node.id in OTHER_NAMES and isinstance(node.ctx, ast.Load):
        yield node, "condition", f"{node.id} is {OTHER_NAMES[node.id]}", replaced(node, "id", OTHER_NAMES[node.id])


def of_units(node: ast.AST) -> Found:
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield node, "unit", f"{node.value} is {not node.value}", replaced(node, "value", not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        for other in (node.value + 1, node.value * 60):
            if other != node.value:
                yield node, "unit", f"{node.value} is {other}", replaced(node, "value", other)
    if isinstance(node, ast.keyword) and node.arg in OTHER_UNITS:
        yield (
            node.value,
            "unit",
            f"{node.arg} are {OTHER_UNITS[node.arg]}",
            replaced(node, "arg", OTHER_UNITS[node.arg]),
        )
    if isinstance(node, ast.BinOp) and type(node.op) in SIGNS and not isinstance(node.right, ast.Constant | ast.Dict):
        yield node, "unit", f"{brief(node)}: other sign", replaced(node, "op", SIGNS[type(node.op)]())


def of_columns(node: ast.AST) -> Found:
    """A column of a record that is lost."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in RECORD_NAMES:
        for each in node.keywords:
            if each.arg and not (isinstance(each.value, ast.Constant) and each.value.value is None):
                yield each.value, "column", f"{each.arg} is lost", replaced(each, "value", ast.Constant(None))
    if isinstance(node, ast.Return) and isinstance(node.value, ast.Dict):
        for i, key in enumerate(node.value.keys):
            if isinstance(key, ast.Constant):
                yield key, "column", f"{key.value!r} is lost", put(node.value.values, i, ast.Constant(None))


def brief(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 70 else text[:67] + "..."


def negated(node: ast.expr) -> ast.expr:
    return ast.copy_location(ast.UnaryOp(ast.Not(), node), node)


def located(new: object, old: object) -> object:
    if isinstance(new, ast.AST) and isinstance(old, ast.expr):
        ast.copy_location(new, old)
        ast.fix_missing_locations(new)
    return new


def replaced(node: ast.AST, name: str, new: object) -> Change:
    def change() -> Callable[[], None]:
        old = getattr(node, name)
        setattr(node, name, located(new, old))
        return lambda: setattr(node, name, old)

    return change


def put(items: list[Any], i: int, new: ast.AST) -> Change:
    def change() -> Callable[[], None]:
        old = items[i]
        located(new, old)
        items[i] = new
        return lambda: items.__setitem__(i, old)

    return change


def taken(items: list[ast.expr], i: int) -> Change:
    def change() -> Callable[[], None]:
        old = items.pop(i)
        return lambda: items.insert(i, old)

    return change


def dropped(node: ast.Dict, i: int) -> Change:
    def change() -> Callable[[], None]:
        keys, values = [*node.keys], [*node.values]
        del node.keys[i], node.values[i]

        def undo() -> None:
            node.keys, node.values = keys, values

        return undo

    return change


def exchanged(one: list[ast.expr], i: int, other: list[ast.expr], j: int) -> Change:
    def turn() -> None:
        one[i], other[j] = other[j], one[i]

    def change() -> Callable[[], None]:
        turn()
        return turn

    return change


def given(one: ast.keyword, other: ast.keyword) -> Change:
    def turn() -> None:
        one.value, other.value = other.value, one.value

    def change() -> Callable[[], None]:
        turn()
        return turn

    return change
