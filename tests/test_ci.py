"""What CI decides by itself: which left-out tests are a failure, and when packages are waited for."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from exporter import __version__

SCRIPT = Path(__file__).parents[1] / ".ci" / "left_out.py"
NOTES = Path(__file__).parents[1] / ".ci" / "notes.py"


def judged(tmp_path: Path, reason: str, *options: str) -> subprocess.CompletedProcess[str]:
    path = tmp_path / "tests.xml"
    path.write_text(
        "<testsuites><testsuite><testcase name='a'/>"
        f"<testcase name='b'><skipped message='{reason}'/></testcase></testsuite></testsuites>"
    )
    return subprocess.run([sys.executable, SCRIPT, path, *options], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("not installed: prometheus", 1),
        ("request-tracker5 is not installed", 1),
        ("the recordings of n8n-2.40.7 are not beside the repository", 0),
        ("n8n takes minutes to install; OUTCOME_TEST_REAL_N8N=1", 0),
    ],
)
def test_a_missing_program_fails_ci_and_missing_recordings_are_only_named(
    tmp_path: Path, reason: str, code: int
) -> None:
    strict, told = judged(tmp_path, reason, "--strict"), judged(tmp_path, reason)

    assert strict.returncode == code
    assert told.returncode == 0
    assert f"left out: 1 test: {reason}\n" == told.stdout


APT = """#!/bin/sh
echo "$@" >>calls
for word in "$@"; do [ "$word" != update ] || exit 0; done
echo again >>tries
[ "$(wc -l <tries)" -gt HELD ] || { echo "E: Could not get lock /var/lib/apt/lists/lock"; exit 100; }
exit CODE
"""


@pytest.mark.parametrize(
    ("held", "code", "installs", "said"),
    [
        (0, 0, 1, ""),
        (3, 0, 4, "Waiting for another program that installs packages\n"),
        (0, 100, 1, "Not installed, so left out: nonesuch"),
    ],
    ids=["free", "held for a while", "another fault"],
)
def test_a_held_package_lock_is_waited_for(tmp_path: Path, held: int, code: int, installs: int, said: str) -> None:
    apt = APT.replace("HELD", str(held)).replace("CODE", str(code))
    programs = {"apt-get": apt, "dpkg-query": "#!/bin/sh\nexit 1\n", "id": "#!/bin/sh\necho 0\n"}
    for name, text in programs.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o700)
    ours = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "POLICY_RC_D": str(tmp_path / "policy"), "LOCK_PAUSE": "0"}
    ended = subprocess.run(
        [SCRIPT.with_name("packages"), "nonesuch"], cwd=tmp_path, env=ours, capture_output=True, text=True, check=False
    )

    calls = (tmp_path / "calls").read_text().splitlines()
    assert ended.returncode == 0
    assert [line for line in calls if "DPkg::Lock::Timeout=600" not in line] == []
    assert len([line for line in calls if "install" in line.split()]) == installs
    assert said in ended.stdout + ended.stderr
    assert not (tmp_path / "policy").exists()


def test_the_notes_of_a_release_are_its_section_of_the_changelog() -> None:
    notes = subprocess.run(
        [sys.executable, NOTES, __version__], capture_output=True, text=True, check=True
    ).stdout  # fmt: skip
    unknown = subprocess.run([sys.executable, NOTES, "99.0.0"], capture_output=True, text=True, check=False)

    assert notes.startswith(f"# Outcome Exporter {__version__}\n\n### ")
    assert "\n## " not in notes
    assert unknown.returncode == 1
    assert "CHANGELOG.md has no heading '## 99.0.0'" in unknown.stderr
