"""The Debian package: built, unpacked beside this machine's own files, and run by Debian's Python."""

import os
import subprocess
from pathlib import Path

import pytest

from exporter import __version__
from tests.delivery.tools import ROOT, asked, run, tool

pytestmark = [asked, pytest.mark.real]


@pytest.fixture(scope="module")
def package() -> Path:
    for old in (ROOT / "dist").glob("*.deb"):
        old.unlink()
    run(ROOT / "deploy/debian/build", env=os.environ | {"NFPM": str(tool("nfpm"))})
    [made] = (ROOT / "dist").glob(f"outcome-exporter_{__version__}_*.deb")
    return made


def test_the_package_brings_unit_user_config_and_the_program(package: Path) -> None:
    listed = {line.split()[-1] for line in run("dpkg-deb", "--contents", package).splitlines()}
    needs = run("dpkg-deb", "--field", package, "Depends")

    assert {
        "./usr/bin/outcome-exporter",
        "./usr/lib/systemd/system/outcome-exporter.service",
        "./usr/lib/sysusers.d/outcome-exporter.conf",
        "./etc/outcome-exporter/outcome.yaml",
        "./usr/lib/outcome-exporter/exporter/__main__.py",
    } <= listed
    assert "python3 (>= 3." in needs
    assert "python3 (<< 3." in needs


def test_the_program_of_the_package_runs_without_anything_of_this_checkout(package: Path, tmp_path: Path) -> None:
    run("dpkg", "-x", package, tmp_path / "unpacked")
    (tmp_path / "rows.csv").write_text("id,opened_at,outcome\n1,2026-03-01T00:00:00Z,open\n")
    (tmp_path / "outcome.yaml").write_text("sources: [{name: a, type: files, path: rows.csv, record: request}]\n")
    start = (tmp_path / "unpacked/usr/bin/outcome-exporter").read_text()
    start = start.replace('"/usr/lib', f'"{tmp_path}/unpacked/usr/lib')
    ended = subprocess.run(
        ["/usr/bin/python3", "-I", "-c", start, "once", "--config.file", "outcome.yaml"],
        cwd=tmp_path, env={}, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert ended.returncode == 0, ended.stderr
    assert "outcome_backlog{" in ended.stdout
