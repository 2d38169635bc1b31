"""YAML that refuses mistakes."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.base import strict_yaml
from exporter.base.strict_yaml import Mistakes
from exporter.catalogue import kpi


def mistakes(text: str) -> list[str]:
    try:
        return [str(mistake) for mistake in strict_yaml.parse(text, "f")[1]]
    except Mistakes as error:
        return [str(mistake) for mistake in error.mistakes]


def data(text: str) -> Any:
    document, found = strict_yaml.parse(text, "f")

    assert found == []
    return document.data


def test_plain_yaml_is_read() -> None:
    text = "a: 1\nb: [0.5, true, null, text with words, '12:30', -3, 1e3]\nc: {d: ~, e: }\n"

    assert data(text) == {
        "a": 1,
        "b": [0.5, True, None, "text with words", "12:30", -3, 1000.0],
        "c": {"d": None, "e": None},
    }


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n"])
def test_nothing_is_none(text: str) -> None:
    assert data(text) is None


def test_the_line_of_a_path_is_that_of_its_key_or_of_what_is_around_it() -> None:
    document, _ = strict_yaml.parse("a:\n  b:\n    - c: 1\n    - c: 2\n", "f")

    assert [document.line(at) for at in [("a",), ("a", "b", 1, "c"), ("a", "b", 1, "x", "y"), ("z",)]] == [1, 4, 4, 1]


@pytest.mark.parametrize("word", ["no", "Yes", "ON", "off"])
def test_a_bare_word_that_yaml_takes_for_a_boolean_is_refused(word: str) -> None:
    assert mistakes(f"a: {word}") == [
        "f:1: a: YAML reads this bare word as true or false; write true or false, or put quotes around a text"
    ]
    assert data(f"a: '{word}'") == {"a": word}


@pytest.mark.parametrize("number", ["12:30", "1:30:00", "010", "0x1F", "0b11", "1_000", ".inf", ".NaN", ".5", "9" * 19])
def test_a_number_that_is_not_what_it_looks_like_is_refused(number: str) -> None:
    assert mistakes(f"a: {number}") == [f"f:1: a: {strict_yaml.OTHER_NUMBER}"]


@pytest.mark.parametrize("time", ["2026-03-31", "2026-03-31T10:00:00Z", "2026-03-31 10:00:00"])
def test_a_bare_time_is_refused(time: str) -> None:
    assert mistakes(f"a: {time}") == ["f:1: a: YAML reads a bare date or time in its own way; put quotes around it"]
    assert data(f"a: '{time}'") == {"a": time}


def test_a_key_given_twice_is_refused_and_the_first_value_kept() -> None:
    document, found = strict_yaml.parse("a: 1\nb: 2\na: {c: 3}\n", "f")

    assert [str(mistake) for mistake in found] == ["f:3: a: this key is already on line 1; keep one of the two"]
    assert document.data == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1: a", "f:1: 1: a key must be text; put quotes around '1'"),
        ("true: a", "f:1: true: a key must be text; put quotes around 'true'"),
        ("~: a", "f:1: ~: a key must be text; put quotes around '~'"),
        ("on: a", f"f:1: on: {strict_yaml.SURPRISES['bool']}"),
        ("? [a]\n: b", "f:1: a key must be text, not a list, a mapping or an alias"),
        ("a: &x y\n*x : b", "f:2: a key must be text, not a list, a mapping or an alias"),
    ],
)
def test_a_key_that_is_no_text_is_refused(text: str, expected: str) -> None:
    assert mistakes(text) == [expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: !!python/object/apply:os.system [id]", "tag:yaml.org,2002:python/object/apply:os.system"),
        ("a: !!int 5", "tag:yaml.org,2002:int"),
        ("!mine {}", "!mine"),
    ],
)
def test_a_tag_is_refused(text: str, expected: str) -> None:
    assert [m.endswith(f"the tag {expected} is not supported; write the plain value") for m in mistakes(text)] == [True]


def test_an_alias_is_what_it_stands_for_on_a_line_of_its_own() -> None:
    document, found = strict_yaml.parse("a: &x\n  b: 1\nc: *x\n", "f")

    assert (document.data, found) == ({"a": {"b": 1}, "c": {"b": 1}}, [])
    assert document.line(("c", "b")) == 3


@pytest.mark.parametrize("text", ["a: *x", "a: &x [*x]", "&x a: *y"])
def test_an_alias_of_nothing_or_of_itself_is_refused(text: str) -> None:
    assert [m.endswith("ends before this alias") for m in mistakes(text)] == [True]


def test_a_few_lines_that_stand_for_a_billion_values_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]

    assert mistakes("\n".join(lines)) == [
        "f:5: the file has more than 100000 values once its aliases are expanded; split the file"
    ]


def test_a_merge_key_is_refused() -> None:
    assert mistakes("a: &x {b: 1}\nc:\n  <<: *x\n") == [
        "f:3: c.<<: the merge key << is not supported; write the keys out"
    ]


def test_deep_nesting_is_refused_before_it_costs_anything() -> None:
    assert mistakes("[" * 100_000) == ["f:1: nested deeper than 50 levels"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: [", "f:1: this is not YAML: the file ends inside a quote or bracket"),
        ("a: 'b", "f:1: this is not YAML: the file ends inside a quote or bracket"),
        ("a:\n\tb: 1", "f:2: this is not YAML: found character '\\t' that cannot start any token"),
        ("a: b: c", "f:1: this is not YAML: mapping values are not allowed here"),
        ("a\n---\nb", "f:2: a second document begins here; a file holds one"),
        ('a: "\\ud800"', "f:1: a: half a character (a lone surrogate) is no text"),
        ("a: b\nc: \x07", "f:2: character 0x7 is not allowed in YAML"),
    ],
)
def test_what_is_not_yaml_is_named_with_its_line(text: str, expected: str) -> None:
    assert mistakes(text) == [expected]


def test_every_mistake_is_found_at_once_and_none_quotes_a_value() -> None:
    found = mistakes("a: no\nb: 0x5EC4E7\na: 2\n3: 4\n")

    assert [mistake.split(":")[1] for mistake in found] == ["1", "2", "3", "4"]
    assert "5EC4E7" not in "".join(found)


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    latin, huge, folder, none = (tmp_path / name for name in ("latin", "huge", "folder", "none"))
    latin.write_bytes("a: 1\nb: caf\xe9\n".encode("latin-1"))
    huge.write_bytes(b"#" * (strict_yaml.LARGEST_FILE + 1))
    folder.mkdir()
    texts = []
    for path in (latin, huge, folder, none):
        with pytest.raises(Mistakes) as error:
            strict_yaml.load(path)
        texts.append(str(error.value))

    assert texts == [
        f"{latin}:2: this is not UTF-8 text; save the file as UTF-8",
        f"{huge}: the file is larger than 4 MiB",
        f"{folder}: this is a folder; name a file",
        f"{none}: there is no such file",
    ]


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\n")

    assert strict_yaml.load(path).data == {"a": 1}


def test_mistakes_are_told_in_the_order_of_the_file() -> None:
    document, _ = strict_yaml.parse("a: 1\nb: 2\n", "f")
    error = Mistakes([document.mistake(("b",), "second"), document.mistake(("a",), "first")])

    assert str(error) == "f:1: a: first\nf:2: b: second"


@pytest.mark.parametrize(
    ("word", "known", "expected"),
    [
        ("intervall", ["interval", "timeout"], "did you mean 'interval'?"),
        ("INTERVAL", ["interval", "timeout"], "did you mean 'interval'?"),
        ("x", ["b", "a"], "known: a, b"),
        ("x", [], "nothing is known here"),
    ],
)
def test_an_unknown_word_gets_the_nearest_known_one(word: str, known: list[str], expected: str) -> None:
    assert strict_yaml.did_you_mean(word, known) == expected


@given(st.text(alphabet=st.sampled_from("ab1:-?&*![]{}#|>'\",\n \t~%@`0.x"), max_size=60))
def test_any_text_is_either_read_or_refused(text: str) -> None:
    try:
        document, found = strict_yaml.parse(text, "f")
    except Mistakes as error:
        found, top = error.mistakes, 1
    else:
        top = document.line(())

    assert all(mistake.line >= 1 and mistake.message for mistake in found)
    assert top >= 1


WORDS = st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs"))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(10**17), 10**17) | st.text(WORDS, max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(WORDS, max_size=5), inner, max_size=3),
        max_leaves=8,
    )
)
def test_json_is_read_as_it_is(value: Any) -> None:
    assert data(json.dumps(value, ensure_ascii=False)) == value


SHIPPED = sorted(Path(kpi.__file__).parents[1].glob("kpis/*.yaml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_what_is_shipped_is_read_alike_by_the_quick_and_by_the_strict_loader(path: Path) -> None:
    quick, strict = strict_yaml.shipped(path), strict_yaml.load(path)

    assert (quick.data, quick.lines) == (strict.data, strict.lines)
