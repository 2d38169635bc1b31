"""Each connector's sample is valid by itself, and says what every key means; the example config is made of them."""

import re
from dataclasses import fields
from itertools import groupby
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from exporter.__main__ import main
from exporter.collect.contract import option_key
from exporter.config.section import SourceSection
from exporter.connectors import CONNECTORS
from exporter.records import RECORDS
from exporter.render import EXAMPLE, samples

NAMES = sorted(CONNECTORS)
ROOT = Path(__file__).parents[1]


def as_config(folder: Path, sample: str) -> tuple[Path, dict[str, str]]:
    """A config with nothing but a sample, with the files and the environment that it names."""
    for name in re.findall(r"^[^#]*_file: (\S+)", sample, re.MULTILINE):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("sesame")
        (folder / name).chmod(0o600)
    path = folder / "outcome.yaml"
    path.write_text("sources:\n" + sample)
    return path, dict.fromkeys(re.findall(r'"\$\{(\w+)\}"', sample), "sesame")


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_is_a_valid_source_of_its_type(name: str, tmp_path: Path) -> None:
    sample = samples.sample(CONNECTORS[name])
    path, environ = as_config(tmp_path, sample)

    found = CliRunner(env=environ).invoke(main, ["check", "--config.file", str(path)])

    assert (found.exit_code, found.output.splitlines()[0][: len(f"{path} is valid")]) == (0, f"{path} is valid")
    assert {source["type"] for source in yaml.safe_load(sample)} == {name}


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_says_what_every_option_means(name: str) -> None:
    sample = yaml.safe_load(samples.sample(CONNECTORS[name]))
    options = {option_key(option.name) for option in fields(CONNECTORS[name].Options)}
    meanings = samples.meanings(CONNECTORS[name])

    assert options - {key for source in sample for key in source} == set()
    assert [key for key, meaning in meanings.items() if not meaning] == []
    assert meanings.keys() == options


def test_the_sample_of_files_names_every_record() -> None:
    words = re.findall(r"\w+", samples.meanings(CONNECTORS["files"])["record"])

    assert [name for name in RECORDS if name not in words] == []


def test_the_sample_of_every_source_has_every_key_of_every_source() -> None:
    text = samples.EVERY_SOURCE.read_text()
    sources = yaml.safe_load(text)

    assert {key for source in sources for key in source} <= set(SourceSection.model_fields)
    assert [key for key in SourceSection.model_fields if not re.search(rf"\b{key}: ?", text)] == []


def test_a_meaning_is_what_stands_above_a_key_and_behind_it(tmp_path: Path) -> None:
    path = tmp_path / "sample.yaml"
    path.write_text(
        '- name: a # no option\n  # Of all.\n\n  # Where it is.\n  path: "x # y" # A glob.\n  record: request\n'
        "  nulls:\n    # Within.\n    - path: 1 # Further in.\n"
    )

    assert samples.comments(path.read_text()) == {
        "name": "no option",
        "path": "Where it is. A glob.",
        "record": "",
        "nulls": "",
    }


def test_the_example_has_the_sources_of_every_sample_and_keeps_the_rest() -> None:
    before, after = "windows: [1d]\n\n# Of sources.\nsources:\n", "# Of KPIs.\nkpis: {}\n"

    found = samples.example(f"{before}  - name: old\n\n    type: files\n{after}")

    assert found.startswith(before)
    assert found.endswith(f"\n\n{after}")
    kinds = [kind for kind, _ in groupby(source["type"] for source in yaml.safe_load(found)["sources"])]
    assert kinds[-len(NAMES) :] == NAMES
    assert yaml.safe_load(found)["sources"] == yaml.safe_load((ROOT / EXAMPLE).read_text())["sources"]
