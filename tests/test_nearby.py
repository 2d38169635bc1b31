"""`make check` runs the tests of a connector that has changed."""

import subprocess
from pathlib import Path

import pytest

from tests.nearby import changed_files, connectors_of


@pytest.mark.parametrize(
    ("path", "connectors"),
    [
        ("exporter/connectors/jira/mapping.py", {"jira"}),
        ("exporter/connectors/request_tracker/__init__.py", {"request-tracker"}),
        ("tests/connectors/request_tracker/truth.py", {"request-tracker"}),
        ("exporter/demo/fakes/zendesk_answers.py", {"zendesk"}),
        ("tests/fakes/jira_jql.py", {"jira"}),
        ("exporter/connectors/__init__.py", set()),
        ("tests/connectors/world.py", set()),
        ("exporter/demo/fakes/fault.py", set()),
        ("README.md", set()),
    ],
)
def test_a_file_belongs_to_the_connector_whose_folder_or_fake_it_is(path: str, connectors: set[str]) -> None:
    assert connectors == connectors_of([path])


def test_changed_is_what_differs_from_the_origin_committed_or_not(tmp_path: Path) -> None:
    origin, clone = tmp_path / "origin", tmp_path / "clone"
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "init.defaultBranch=main"]

    def run(folder: Path, *arguments: str) -> None:
        subprocess.run([*git, *arguments], cwd=folder, check=True, capture_output=True)

    origin.mkdir()
    run(origin, "init")
    for name in ("same", "committed", "edited"):
        (origin / name).write_text("1")
    run(origin, "add", ".")
    run(origin, "commit", "-m", "first")
    run(tmp_path, "clone", str(origin), str(clone))
    (clone / "committed").write_text("2")
    run(clone, "commit", "-am", "second")
    (clone / "edited").write_text("2")
    (clone / "new").write_text("2")

    assert sorted(changed_files(clone)) == ["committed", "edited", "new"]
