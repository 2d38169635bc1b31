"""The wheel: what is in it, and that the program works from it, without a checkout."""

import hashlib
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from exporter.__main__ import main
from exporter.base import assets

ROOT = Path(__file__).parents[1]


def run(*command: str | Path, cwd: Path) -> str:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True).stdout


def shipped(name: str) -> bool:
    return "__pycache__" not in name and not Path(name).name.startswith(".")


@pytest.mark.slow
def test_the_program_and_its_files_work_from_a_wheel_without_a_checkout(tmp_path: Path) -> None:
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path, cwd=ROOT)
    (wheel,) = tmp_path.glob("*.whl")
    venv.create(tmp_path / "venv")
    python = tmp_path / "venv/bin/python"
    run(
        sys.executable, "-m", "pip", "-q", "--python", python, "install", "--no-deps", "--no-index", wheel, cwd=tmp_path
    )
    (packages,) = (tmp_path / "venv/lib").glob("python*/site-packages")
    (packages / "dependencies.pth").write_text(f"{Path(click.__file__).parents[1]}\n")
    program = tmp_path / "venv/bin/outcome-exporter"
    said = run(program, "demo", "--help", cwd=tmp_path)
    run(program, "assets", "--output", "out", cwd=tmp_path)
    names = set(zipfile.ZipFile(wheel).namelist())

    assert run(python, "-c", "import exporter; print(exporter.__file__)", cwd=tmp_path).startswith(str(packages))
    assert "simulated organisation" in said
    ours = {str(path.relative_to(ROOT)) for path in (ROOT / "exporter").rglob("*") if path.is_file()}
    assert {name for name in ours if shipped(name)} <= names
    written = [path.relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert sorted(written) == sorted(assets.files())
    assert all((tmp_path / "out" / path).read_bytes() == (ROOT / path).read_bytes() for path in written)


@pytest.mark.slow
def test_two_builds_give_the_same_wheel_whatever_the_folder_the_time_and_the_umask(tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere"
    copy.mkdir()
    for name in ("exporter", "alerts", "dashboards", "deploy"):
        shutil.copytree(ROOT / name, copy / name, symlinks=True, copy_function=shutil.copy)
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(ROOT / name, copy)
    build = (sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d")
    run(*build, tmp_path / "first", cwd=ROOT)
    run("sh", "-c", 'umask 077 && exec "$@"', "sh", *build, tmp_path / "second", cwd=copy)
    sums = [hashlib.sha256(wheel.read_bytes()).hexdigest() for wheel in sorted(tmp_path.glob("*/*.whl"))]

    assert len(sums) == 2
    assert sums[0] == sums[1]


def test_assets_keep_what_was_changed_unless_told_otherwise(tmp_path: Path) -> None:
    asked = ["assets", "--output", str(tmp_path)]
    first = CliRunner().invoke(main, asked)
    rules, config = tmp_path / "alerts/kpi.rules.yaml", tmp_path / "deploy/config.example.yaml"
    config.write_text("mine")
    second = CliRunner().invoke(main, asked)
    mine = config.read_text()
    third = CliRunner().invoke(main, [*asked, "--overwrite"])

    assert (first.exit_code, second.exit_code, third.exit_code) == (0, 1, 0)
    assert str(rules) in first.output
    assert f"{config}: kept, because it differs from what is shipped" in second.output
    assert mine == "mine"
    assert config.read_bytes() == (ROOT / "deploy/config.example.yaml").read_bytes()
