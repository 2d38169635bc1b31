"""How the program ends early: with a message in words, never with a traceback."""

import os
import sys
from pathlib import Path
from typing import NoReturn

import click


def fail(message: object, status: int = 1) -> NoReturn:
    """Ends the program with a message instead of a traceback."""
    click.echo(f"outcome-exporter: {message}" if "\n" not in str(message) else str(message), err=True)
    sys.exit(status)


def unwritable(output: Path, error: OSError) -> NoReturn:
    """Ends the program because a file cannot be written."""
    fail(f"{output}: cannot be written: {error.strerror}; give a file in a folder you may write to")


def stopped() -> NoReturn:
    """Ends an interrupted program. All is closed by now; what Python would still say on its way out is for nobody."""
    click.echo("outcome-exporter: stopped", err=True)
    sys.stdout.flush()
    os._exit(130)
