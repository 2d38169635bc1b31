"""Reads what users write in SQL node by node.

Only the nodes in `READERS` exist; each becomes a `Term`: its SQL with brackets, and the kind of its value. Kinds are
checked here because DuckDB finds out about `category = 5` only when it meets the first row.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import sqlglot
from sqlglot import TokenType, exp
from sqlglot.errors import SqlglotError

from exporter.base.strict_yaml import did_you_mean
from exporter.catalogue.expression_types import EXAMPLE, KIND_NAMES, LONGEST, ColumnKind, Expression, ExpressionError
from exporter.catalogue.regex import pattern_fault

SIMPLE = "write one condition or amount over the columns of a single row; the KPI adds rows up by itself"


class Term(NamedTuple):
    """A checked piece: its SQL, and the kind of its value ("null" fits every kind)."""

    sql: str
    kind: str


Node: TypeAlias = Any  # sqlglot's nodes are looked at by class and by `args`
Reader = Callable[["_Scope", Node], Term]


def columns_of(sql: str) -> tuple[str, ...]:
    """The columns that our own SQL uses, in the order in which it names them."""
    columns = sqlglot.parse_one(sql, dialect="duckdb").find_all(exp.Column, bfs=False)
    return tuple(dict.fromkeys(column.name for column in columns))


def read(text: str, columns: Mapping[str, ColumnKind]) -> tuple[Expression, str]:
    scope = _Scope(columns, set(), set())
    try:
        parsed = _parsed(text)
        if parsed.find(exp.Query):
            raise ExpressionError(f"a query within a condition is not allowed; {EXAMPLE}")
        if inner := parsed.find(exp.AggFunc, exp.Window):
            raise ExpressionError(f"{_name(inner)} looks at more than one row; {SIMPLE}")
        term = scope.term(parsed)
    except RecursionError:
        raise ExpressionError("this is nested too deeply; write it more simply") from None
    return Expression(f"({term.sql})", frozenset(scope.used), frozenset(scope.words)), term.kind


def _parsed(text: str) -> Node:
    if len(text) > LONGEST or "\0" in text:
        raise ExpressionError(f"this is longer than {LONGEST} characters, or contains a zero character")
    try:
        tokens = sqlglot.tokenize(text, dialect="duckdb")
        refused = _refused(tokens)
        statements = [] if refused else sqlglot.parse(text, dialect="duckdb")
    except (SqlglotError, ValueError, TypeError, AttributeError, LookupError) as error:
        raise ExpressionError(f"this is not SQL: {_fault(error)}; {EXAMPLE}") from None
    if refused:
        raise ExpressionError(refused)
    if len(statements) != 1 or statements[0] is None:
        raise ExpressionError(f"this is not a single expression; {EXAMPLE}")
    return statements[0]


def _refused(tokens: Iterable[Any]) -> str | None:
    """A mistake that the parsed tree would no longer show, or would show as something else."""
    for token in tokens:
        if token.comments:
            return "comments are not allowed; put them beside the expression"
        if token.token_type is TokenType.SEMICOLON:
            return "a semicolon is not allowed; write a single expression"
        if token.token_type is not TokenType.STRING and ("~" in token.text or token.text == "^@"):
            return f"the operator {token.text} is not allowed; use like or regexp_matches"
    return None


def _fault(error: Exception) -> str:
    found = getattr(error, "errors", None)
    if not found:  # the tokenizer, or the parser stumbling over nonsense
        return "a quote or bracket is not closed, or a character is out of place"
    words = str(found[0]["description"]).partition(". Line")[0]
    if "<class" in words:
        return f"something is missing before column {found[0]['col']}"
    return f"{words[:1].lower()}{words[1:]} at column {found[0]['col']}"


@dataclass(frozen=True, slots=True)
class _Scope:
    columns: Mapping[str, ColumnKind]
    used: set[str]
    words: set[tuple[str, str]]

    def term(self, node: Node, *wanted: str) -> Term:
        """A node as a Term, of one of the kinds `wanted`."""
        if type(node) not in READERS:
            raise ExpressionError(f"{_name(node)} is not allowed; {EXAMPLE}")
        reader, parts = READERS[type(node)]
        if any(value and name not in parts for name, value in node.args.items()):
            raise ExpressionError(f"this form of {_name(node)} is not allowed; {EXAMPLE}")
        term = reader(self, node)
        if wanted and term.kind not in (*wanted, "null"):
            words = " or ".join(KIND_NAMES[kind] for kind in wanted)
            raise ExpressionError(f"{_source(node)} is {KIND_NAMES[term.kind]} where {words} is needed")
        return term

    def alike(self, nodes: Iterable[Node]) -> list[Term]:
        """Nodes that are compared with each other, so all of one kind."""
        nodes = [*nodes]
        named = [node.name.lower() for node in nodes if type(node) is exp.Column]
        texts = [node.this for node in nodes if type(node) is exp.Literal and node.is_string]
        self.words.update((name, text) for name in named for text in texts)
        read = [(node, self.term(node)) for node in nodes]
        known = [(node, term.kind) for node, term in read if term.kind != "null"]
        for node, kind in known[1:]:
            if kind != known[0][1]:
                first, other = (f"{_source(each)} is {KIND_NAMES[of]}" for each, of in (known[0], (node, kind)))
                raise ExpressionError(f"{first} and {other}: they cannot be compared")
        return [term for _, term in read]


def _source(node: Node) -> str:
    return str(node.sql(dialect="duckdb"))


def _name(node: Node) -> str:
    if isinstance(node, exp.Window):
        return "a window (over ...)"
    if isinstance(node, exp.Anonymous):
        return f"{node.name}()"
    if isinstance(node, exp.Func) and type(node) not in READERS:
        return f"{node.sql_name().lower()}()"
    return f"'{node.key}'"


def _kind(terms: Iterable[Term]) -> str:
    return next((term.kind for term in terms if term.kind != "null"), "null")


def _column(scope: _Scope, node: Node) -> Term:
    name = node.name.lower()
    if not isinstance(node.this, exp.Identifier) or name not in scope.columns:
        raise ExpressionError(f"there is no column {node.name!r}; {did_you_mean(name, scope.columns)}")
    scope.used.add(name)
    kind = scope.columns[name]
    # As DOUBLE throughout: DuckDB's integers and decimals overflow.
    return Term(f'CAST("{name}" AS DOUBLE)' if kind == "number" else f'"{name}"', kind)


def _literal(_: _Scope, node: Node) -> Term:
    if node.is_string:
        return Term("'" + node.this.replace("'", "''") + "'", "text")
    try:
        value = float(node.this)
    except ValueError:
        raise ExpressionError("write a number like 5 or 0.25") from None
    if value in (float("inf"), float("-inf")):
        raise ExpressionError("this number is too large")
    return Term(f"CAST({value!r} AS DOUBLE)", "number")


def _logical(word: str) -> Reader:
    def read(scope: _Scope, node: Node) -> Term:
        left, right = (scope.term(side, "boolean") for side in (node.this, node.expression))
        return Term(f"({left.sql} {word} {right.sql})", "boolean")

    return read


def _compared(word: str) -> Reader:
    def read(scope: _Scope, node: Node) -> Term:
        if not word.startswith("IS") and exp.Null in (type(node.this), type(node.expression)):
            raise ExpressionError(f"nothing is ever {word} null; write `is null` or `is not null`")
        left, right = scope.alike((node.this, node.expression))
        return Term(f"({left.sql} {word} {right.sql})", "boolean")

    return read


def _arithmetic(word: str) -> Reader:
    def read(scope: _Scope, node: Node) -> Term:
        left, right = (scope.term(side, "number") for side in (node.this, node.expression))
        # Divided by nothing is unknown: neither an error nor infinite.
        divisor = f"nullif({right.sql}, 0)" if word in "/%" else right.sql
        return Term(f"({left.sql} {word} {divisor})", "number")

    return read


def _like(word: str) -> Reader:
    def read(scope: _Scope, node: Node) -> Term:
        left, right = (scope.term(side, "text") for side in (node.this, node.expression))
        sql = f"({left.sql} {word} {right.sql})"
        return Term(f"(NOT {sql})" if node.args.get("negate") else sql, "boolean")

    return read


def _not(scope: _Scope, node: Node) -> Term:
    return Term(f"(NOT {scope.term(node.this, 'boolean').sql})", "boolean")


def _negative(scope: _Scope, node: Node) -> Term:
    return Term(f"(- {scope.term(node.this, 'number').sql})", "number")


def _is(scope: _Scope, node: Node) -> Term:
    if type(node.expression) is exp.Null:
        return Term(f"({scope.term(node.this).sql} IS NULL)", "boolean")
    if type(node.expression) is exp.Boolean:
        word = "TRUE" if node.expression.this else "FALSE"
        return Term(f"({scope.term(node.this, 'boolean').sql} IS {word})", "boolean")
    raise ExpressionError("write null, true or false after 'is'")


def _in(scope: _Scope, node: Node) -> Term:
    if not node.expressions:
        raise ExpressionError("write a list of values after 'in', such as in ('password', 'access')")
    first, *rest = scope.alike((node.this, *node.expressions))
    return Term(f"({first.sql} IN ({', '.join(term.sql for term in rest)}))", "boolean")


def _between(scope: _Scope, node: Node) -> Term:
    value, low, high = scope.alike((node.this, node.args["low"], node.args["high"]))
    return Term(f"({value.sql} BETWEEN {low.sql} AND {high.sql})", "boolean")


def _case(scope: _Scope, node: Node) -> Term:
    whens, default = node.args["ifs"], node.args.get("default")
    if node.this is None:
        subject, tests = "", [scope.term(when.this, "boolean") for when in whens]
    else:
        compared, *tests = scope.alike((node.this, *(when.this for when in whens)))
        subject = f" {compared.sql}"
    results = scope.alike((*(when.args["true"] for when in whens), *([default] if default else [])))
    pairs = zip(tests, results, strict=False)  # the default is left over
    body = " ".join(f"WHEN {test.sql} THEN {result.sql}" for test, result in pairs)
    otherwise = f" ELSE {results[-1].sql}" if default else ""
    return Term(f"(CASE{subject} {body}{otherwise} END)", _kind(results))


def _coalesce(scope: _Scope, node: Node) -> Term:
    terms = scope.alike((node.this, *node.expressions))
    return Term(f"coalesce({', '.join(term.sql for term in terms)})", _kind(terms))


def _text_function(name: str, kind: ColumnKind) -> Reader:
    def read(scope: _Scope, node: Node) -> Term:
        given = [node.this, *([node.expression] if node.args.get("expression") else [])]
        return Term(f"{name}({', '.join(scope.term(each, 'text').sql for each in given)})", kind)

    return read


def _regexp_matches(scope: _Scope, node: Node) -> Term:
    pattern = node.expression
    if type(pattern) is not exp.Literal or not pattern.is_string:
        raise ExpressionError("the pattern of regexp_matches must be a text in quotes")
    fault = pattern_fault(pattern.this)
    if fault:
        raise ExpressionError(fault)
    return Term(f"regexp_matches({scope.term(node.this, 'text').sql}, {scope.term(pattern).sql})", "boolean")


_BOTH = ("this", "expression")
_COMPARISONS = {
    **dict(zip((exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE), ("=", "<>", "<", "<=", ">", ">="), strict=True)),
    **dict(zip((exp.NullSafeEQ, exp.NullSafeNEQ), ("IS NOT DISTINCT FROM", "IS DISTINCT FROM"), strict=True)),
}
_ARITHMETIC = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/", exp.Mod: "%"}

READERS: dict[type[exp.Expr], tuple[Reader, tuple[str, ...]]] = {
    exp.Column: (_column, ("this",)),
    exp.Literal: (_literal, ("this", "is_string")),
    exp.Boolean: (lambda _, node: Term("TRUE" if node.this else "FALSE", "boolean"), ("this",)),
    exp.Null: (lambda *_: Term("NULL", "null"), ()),
    exp.Paren: (lambda scope, node: scope.term(node.this), ("this",)),
    exp.And: (_logical("AND"), _BOTH),
    exp.Or: (_logical("OR"), _BOTH),
    exp.Not: (_not, ("this",)),
    **{node: (_compared(word), _BOTH) for node, word in _COMPARISONS.items()},
    exp.Is: (_is, _BOTH),
    exp.In: (_in, ("this", "expressions")),
    exp.Between: (_between, ("this", "low", "high")),
    exp.Like: (_like("LIKE"), (*_BOTH, "negate")),
    exp.ILike: (_like("ILIKE"), (*_BOTH, "negate")),
    **{node: (_arithmetic(word), (*_BOTH, "typed", "safe")) for node, word in _ARITHMETIC.items()},
    exp.Neg: (_negative, ("this",)),
    exp.Case: (_case, ("this", "ifs", "default")),
    exp.Coalesce: (_coalesce, ("this", "expressions")),
    exp.Lower: (_text_function("lower", "text"), ("this",)),
    exp.Upper: (_text_function("upper", "text"), ("this",)),
    exp.Trim: (_text_function("trim", "text"), ("this",)),
    exp.StartsWith: (_text_function("starts_with", "boolean"), _BOTH),
    exp.Contains: (_text_function("contains", "boolean"), _BOTH),
    exp.RegexpLike: (_regexp_matches, _BOTH),
}
"""Everything an expression may be made of: node -> its reader, and the parts it may have."""
