"""Prints a page to PDF with the Chromium that is installed; without one there is no PDF, and the error says so."""

import os
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge")
SECONDS = 120.0


class PdfError(Exception):
    """No PDF could be made; the text says why, and what to do."""


def printed(html: str, seconds: float = SECONDS) -> bytes:
    """A page as PDF. Raises PdfError."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        raise PdfError(
            f"a PDF is printed by Chromium, and none of {', '.join(PROGRAMS)} is on the PATH; "
            "install one, or choose --format html and print it from a browser"
        )
    with TemporaryDirectory(prefix="outcome-report-") as folder:
        source, target = Path(folder) / "report.html", Path(folder) / "report.pdf"
        source.write_text(html, encoding="utf-8")
        # Chromium's own sandbox does not work for root.
        options = ["--headless", "--disable-gpu", "--disable-dev-shm-usage", "--no-pdf-header-footer"]
        options += ["--no-sandbox"] if os.geteuid() == 0 else []
        command = [program, *options, f"--user-data-dir={folder}/profile", f"--print-to-pdf={target}", source.as_uri()]
        try:
            done = subprocess.run(command, capture_output=True, timeout=seconds, check=False)  # noqa: S603 - no shell, our own page
        except subprocess.TimeoutExpired:
            raise PdfError(f"{program} did not print the page within {seconds:.0f} s; try again") from None
        if not target.exists():
            said = done.stderr.decode(errors="replace").strip().splitlines()
            raise PdfError(f"{program} printed no page: {said[-1] if said else f'it ended with {done.returncode}'}")
        return target.read_bytes()
