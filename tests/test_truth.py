"""Every connector says what its platform means: a few items, compared column by column. See tests/connectors/truth.py.

Robustness is the matter of tests/test_connectors.py; meaning is the matter here. That truth holds all of it is shown by
taking words away: without any one of them, some record is another.
"""

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.connectors import CONNECTORS
from tests.connectors.truth import Enum, expected, folder_of, found, told, truths, untrue
from tests.mutation.anew import PACKAGE, changed, modules
from tests.mutation.equivalent import EQUIVALENT
from tests.mutation.mutants import mutants, names

NAMES = sorted(CONNECTORS)
SPECS = Path(os.environ.get("OUTCOME_SPECS") or Path(__file__).parents[2] / "shared" / "platforms" / "specs")
"""What platforms publish of their APIs; not part of the repository. It lies beside it, or where OUTCOME_SPECS says."""


@pytest.mark.parametrize("name", NAMES)
async def test_every_item_is_what_it_is_said_to_be(name: str, tmp_path: Path) -> None:
    for truth in truths(name, tmp_path):
        records, said = await found(CONNECTORS[name], truth)
        true, to_be_said = expected(truth)

        assert true, truth.what
        for record, real in zip(records, true, strict=False):
            assert record == real, truth.what
        assert [record.id for record in records] == [record.id for record in true], truth.what
        assert said == to_be_said, truth.what


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
async def test_without_any_word_of_a_table_something_is_not_what_it_is(name: str, tmp_path: Path) -> None:
    assert await untrue(name, CONNECTORS[name], tmp_path) is None
    words, missed = 0, []
    for module, path in modules(folder_of(name)):
        for mutant in mutants(path.read_text(), str(path), ["entry"]):
            if mutant.name in EQUIVALENT.get(module.removeprefix(f"{PACKAGE}."), {}):
                continue
            words += 1
            connector = changed(folder_of(name), module, mutant.code)
            if await untrue(name, connector, tmp_path) is None:
                missed.append(f"{path.name}:{mutant.line}: {mutant.what}")

    assert words > 0
    assert "\n".join(missed) == ""


@pytest.mark.parametrize("module", EQUIVALENT)
def test_every_change_that_is_called_equivalent_can_still_be_made(module: str) -> None:
    paths = {full.removeprefix(f"{PACKAGE}."): path for name in NAMES for full, path in modules(folder_of(name))}

    assert set(EQUIVALENT[module]) - names(paths[module].read_text()) == set()


@pytest.mark.parametrize("name", NAMES)
def test_every_option_that_changes_a_meaning_is_in_a_truth(name: str, tmp_path: Path) -> None:
    options = {each.name for each in fields(CONNECTORS[name].Options)}
    used = {option for truth in truths(name, tmp_path) for option in truth.options}
    technical: set[str] = told(name).TECHNICAL

    assert technical <= options
    assert options - technical <= used


def document(spec: str, *names: str) -> Any:
    """What a platform publishes at a place in its specification."""
    if not (SPECS / spec).exists():
        pytest.skip(f"{spec} is not beside the checkout")
    text = (SPECS / spec).read_text()
    with suppress(StopIteration):
        return yaml.load("\n".join(cut(text.splitlines(), names)), Loader=yaml.CSafeLoader)
    at: Any = yaml.load(text, Loader=yaml.CSafeLoader)
    for name in names:
        at = at[int(name) if isinstance(at, list) else name]
    return at


def cut(lines: list[str], names: Sequence[str]) -> list[str]:
    """The lines below nested keys: to read a large document as a whole takes seconds. StopIteration where it is laid
    out in another way."""
    for depth, name in enumerate(names):
        start = next(i for i, line in enumerate(lines) if line == f"{'  ' * depth}{name}:")
        ends = (i for i in range(start + 1, len(lines)) if re.match(rf" {{0,{2 * depth}}}[^\s-]", lines[i]))
        lines = lines[start + 1 : next(ends, len(lines))]
    return lines


def published(enum: Enum) -> set[str]:
    return set(document(enum.spec, *enum.path.split("/")))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_words_are_those_that_the_platform_publishes(name: str) -> None:
    enums: tuple[Enum, ...] | str = told(name).ENUMS
    if isinstance(enums, str):
        pytest.skip(f"not of this platform: {enums}")

    for enum in enums:
        assert set(enum.table) - set(enum.beyond) == published(enum)
        assert set(enum.beyond) <= set(enum.table)
