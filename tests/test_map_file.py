"""Words from a table or catalogue beside the config: what is read, and every reason why a file is none."""

import json
from pathlib import Path

import pytest

from exporter import config
from exporter.base.strict_yaml import Mistakes
from exporter.catalogue import kpi
from exporter.collect.mapping import apply
from exporter.config.map_file import MOST_WORDS, Unfit, words_of
from exporter.connectors import CONNECTORS
from exporter.records import Json, Read, Run
from exporter.records.columns import MapFile

CATALOGUE = """
- metadata: { name: billing-api, tags: [billing, pay] }
  spec: { owner: team-finance }
- metadata: { name: portal }
  spec: { owner: null }
"""


def words(folder: Path, name: str, text: str, key: str | None = None, value: str | None = None) -> Json:
    (folder / name).write_text(text)
    return words_of(folder / name, MapFile(path=name, key=key, value=value))


@pytest.mark.parametrize(
    ("name", "text", "key", "value", "found"),
    [
        ("a.csv", "service,unit\npay , finance\n\nweb,\n,x\n", None, None, {"pay": "finance", "web": None}),
        ("a.csv", '\ufeffowner,service,unit\nada,"a,b",x\n', "service", "unit", {"a,b": "x"}),
        ("a.tsv", "service\tunit\na\tx\na\tx\n", None, None, {"a": "x"}),
        ("a.yaml", "a: x\n\"7\": 8\nb: null\n", None, None, {"a": "x", "7": 8, "b": None}),
        ("a.yaml", CATALOGUE, "metadata.name", "spec.owner", {"billing-api": "team-finance", "portal": None}),
        ("a.yml", CATALOGUE, "metadata.tags", "spec.owner", {"billing": "team-finance", "pay": "team-finance"}),
        ("a.json", json.dumps([{"k": 1, "v": True}]), "k", "v", {"1": True}),
    ],
)  # fmt: skip
def test_a_table_or_catalogue_gives_words(
    name: str, text: str, key: str | None, value: str | None, found: Json, tmp_path: Path
) -> None:
    assert words(tmp_path, name, text, key, value) == found


@pytest.mark.parametrize(
    ("name", "text", "key", "value", "why"),
    [
        ("a.csv", "a,b,c\n1,2,3\n", None, None, "name its columns in key and value; it has a, b, c"),
        ("a.csv", "service,unit\n", "servce", "unit", "there is no column 'servce'; did you mean 'service'?"),
        ("a.csv", "", None, None, "name its columns in key and value; it has none"),
        ("a.csv", "service,unit\n", None, None, "there is no word in it"),
        ("a.csv", "service,unit\na,x\na,y\n", None, None, "'a' is there twice, as 'x' and 'y'; keep one"),
        ("a.csv", "service,unit\nSAP,x\nsap,y\n", None, None, "'SAP' is there twice, as 'x' and 'y'; keep one"),
        ("a.csv", 'service,unit\na,"x\n', None, None, "line 2: unexpected end of data"),
        ("a.yaml", "- {a: b}\n", None, None, "it is a list; name in key and value the paths"),
        ("a.yaml", "a: {b: c}\n", None, None, "a is not a single word"),
        ("a.yaml", "a: b\n", "a", "b", "write word: meaning lines without key and value"),
        ("a.yaml", "a: b\na: c\n", None, None, "2: a: "),
        ("a.yaml", "- {a: b, c: [d]}\n", "a", "c", "c is not a single word"),
    ],
)
def test_why_a_file_is_none_is_said(
    name: str, text: str, key: str | None, value: str | None, why: str, tmp_path: Path
) -> None:
    with pytest.raises(Unfit) as caught:
        words(tmp_path, name, text, key, value)

    assert str(caught.value).startswith(why)


def test_a_file_that_is_not_there_is_too_large_or_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "latin.csv").write_bytes(b"a,b\n\xe4,x\n")
    (tmp_path / "large.csv").write_text("a,b\n" + "".join(f"w{number},x\n" for number in range(MOST_WORDS + 1)))
    (tmp_path / "larger.csv").write_bytes(b"a,b\n" + b"x" * 4 * 1024 * 1024)
    said = {}
    for name in ("none.csv", "latin.csv", "large.csv", "larger.csv"):
        with pytest.raises(Unfit) as caught:
            words_of(tmp_path / name, MapFile(path=name))
        said[name] = str(caught.value)

    assert said == {
        "none.csv": "it cannot be read: No such file or directory",
        "latin.csv": "it is not UTF-8 text; save it as UTF-8",
        "large.csv": "more than 50,000 words; name only what the platform uses",
        "larger.csv": "it is larger than 4 MiB",
    }


CONFIG = """
sources:
  - name: flows
    type: n8n
    url: https://n8n.example.com
    segments:
      team: {{ from: service, map_file: {file}, map: {{ portal: web }}, otherwise: other }}
  - name: rows
    type: files
    path: rows.csv
    record: run
    columns: {{ owner: {{ from: Owner, map_file: {file} }} }}
"""


def loaded(folder: Path, file: str) -> config.Config:
    path = folder / "outcome.yaml"
    path.write_text(CONFIG.format(file=file))
    return config.load(path, kpi.catalogue(), CONNECTORS, {})


def test_words_of_the_config_go_before_those_of_a_file_and_another_file_is_another_mapping(
    tmp_path: Path,
) -> None:
    (tmp_path / "services.csv").write_text("service,unit\nbilling,finance\nPortal,other-web\n")
    flows, rows = loaded(tmp_path, "{ path: services.csv }").sources
    teams = [
        apply(Read(Run(id="1"), {"service": word}), flows.mapping, str).team
        for word in ("Billing", "portal", "zzz", None)
    ]
    (tmp_path / "services.csv").write_text("service,unit\nbilling,accounting\n")
    others = loaded(tmp_path, "{ path: services.csv }").sources

    assert teams == ["finance", "web", "other", None]
    assert rows.options.columns["owner"].map == {"billing": "finance", "Portal": "other-web"}
    assert [flows.fingerprint == others[0].fingerprint, rows.fingerprint == others[1].fingerprint] == [False, False]


def test_a_fault_of_a_file_is_a_mistake_of_the_rule_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(Mistakes) as caught:
        loaded(tmp_path, "{ path: services.csv }")

    assert [(mistake.line, mistake.path, mistake.message) for mistake in caught.value.mistakes] == [
        (7, "sources[0].segments.team.map_file", "services.csv: it cannot be read: No such file or directory"),
        (12, "sources[1].columns.owner.map_file", "services.csv: it cannot be read: No such file or directory"),
    ]
