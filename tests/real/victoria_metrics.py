"""Fetches VictoriaMetrics from a newer Debian suite into a folder, without installing anything.

    python tests/real/victoria_metrics.py FOLDER      prints the path of the program

The mirror is the one this machine's own apt uses; the package is named by suite and name only. Exit 1 with one line
of reason where it cannot be had.
"""

import re
import subprocess
import sys
from pathlib import Path

from tests import deadline

SUITES = ("trixie", "sid")
PACKAGE = "victoria-metrics"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SOURCES = Path("/etc/apt")


class UnavailableError(Exception):
    """Why the program cannot be had here."""


def mirror() -> str:
    """The first Debian archive among the machine's apt sources, in either of their two formats."""
    for path in [SOURCES / "sources.list", *sorted((SOURCES / "sources.list.d").glob("*"))]:
        if path.suffix not in (".list", ".sources") or not path.is_file():
            continue
        for line in path.read_text().splitlines():
            found = re.match(r"(?:URIs:|deb(?: \[[^]]*\])?)\s+(\S+?/debian)/?(?:\s|$)", line)
            if found:
                return found[1]
    raise UnavailableError("no Debian archive in this machine's apt sources")


def run(*command: str, cwd: Path) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=deadline.seconds(240))
    if done.returncode:
        reason = (done.stderr or done.stdout).strip().splitlines()
        raise UnavailableError(f"{command[0]} failed: {reason[-1] if reason else done.returncode}")


def program(folder: Path) -> Path:
    """The program below `folder`, fetched unless it is there already."""
    reasons = []
    for suite in SUITES:
        target = folder / suite
        found = sorted(target.glob("root/usr/bin/victoria-metrics"))
        if not found:
            try:
                fetch(target, suite)
            except (UnavailableError, OSError, subprocess.TimeoutExpired) as error:
                reasons.append(f"{suite}: {error}")
                continue
            found = sorted(target.glob("root/usr/bin/victoria-metrics"))
        if found:
            return found[0]
        reasons.append(f"{suite}: the package holds no such program")
    raise UnavailableError("; ".join(reasons))


def fetch(target: Path, suite: str) -> None:
    (target / "lists" / "partial").mkdir(parents=True, exist_ok=True)
    signed = f" [signed-by={KEYRING}]" if KEYRING.exists() else ""
    (target / "sources.list").write_text(f"deb{signed} {mirror()} {suite} main\n")
    private = [
        *("-o", f"Dir::Etc::sourcelist={target}/sources.list", "-o", "Dir::Etc::sourceparts=-"),
        *("-o", f"Dir::State::Lists={target}/lists", "-o", f"Dir::Cache={target}", "-o", "APT::Sandbox::User=root"),
    ]
    run("apt-get", *private, "update", cwd=target)
    run("apt-get", *private, "download", PACKAGE, cwd=target)
    for package in target.glob(f"{PACKAGE}_*.deb"):
        run("dpkg", "-x", str(package), str(target / "root"), cwd=target)


if __name__ == "__main__":
    try:
        sys.stdout.write(f"{program(Path(sys.argv[1]).resolve())}\n")
    except UnavailableError as error:
        sys.exit(str(error))
