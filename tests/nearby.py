"""What `make check` leaves out: the tests of connectors that have not changed. A few are run in any case, for a change
of what all connectors stand on; `make test` runs every one.
"""

import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from exporter.connectors import CONNECTORS

ALWAYS = frozenset({"files", "n8n", "servicenow"})
"""A reader of files, the smallest that polls, and one of several records with sweeps and OAuth."""
ROOT = Path(__file__).parent.parent
MODULES = {name.replace("-", "_"): name for name in CONNECTORS}


def select(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Takes the tests of connectors away that are neither changed nor always run."""
    wanted = ALWAYS | connectors_of(changed_files(ROOT))
    far = [item for item in items if not wanted.issuperset(connectors_tested(item))]
    if far:
        config.hook.pytest_deselected(items=far)
        items[:] = [item for item in items if wanted.issuperset(connectors_tested(item))]


def connectors_tested(item: pytest.Item) -> set[str]:
    """The connectors that a test is about: by its folder, or because it is made once for each."""
    given = getattr(getattr(item, "callspec", None), "params", {}).values()
    return {each for each in given if isinstance(each, str) and each in CONNECTORS} | connectors_of(
        [str(item.path.relative_to(ROOT))] if item.path.is_relative_to(ROOT) else []
    )


def connectors_of(paths: Iterable[str]) -> set[str]:
    """The connectors to whose module, tests or fake the paths belong."""
    return {name for path in paths if (name := _connector_of(Path(path).parts))}


def _connector_of(parts: Sequence[str]) -> str | None:
    if parts[:2] in (("exporter", "connectors"), ("tests", "connectors")) and len(parts) > 3:
        return MODULES.get(parts[2])
    if parts[-2:-1] == ("fakes",):  # a fake may have several files: zendesk.py, zendesk_answers.py
        whose = (name for module, name in MODULES.items() if parts[-1].startswith((f"{module}.", f"{module}_")))
        return next(whose, None)
    return None


def changed_files(root: Path) -> list[str]:
    """What differs from the main branch of the origin, or from the last commit where there is none."""
    base = _git(root, "merge-base", "HEAD", "origin/HEAD") or ["HEAD"]
    return [*_git(root, "diff", "--name-only", base[0]), *_git(root, "ls-files", "--others", "--exclude-standard")]


def _git(root: Path, *arguments: str) -> list[str]:
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    return done.stdout.splitlines() if done.returncode == 0 else []
