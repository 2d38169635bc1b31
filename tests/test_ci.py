"""What CI decides by itself: which left-out tests are a failure."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / ".ci" / "left_out.py"


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
