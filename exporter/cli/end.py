"""How the program ends early: with a message in words, never with a traceback."""

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import click


def fail(message: object, status: int = 1) -> NoReturn:
    """Ends the program with a message instead of a traceback."""
    click.echo(f"outcome-exporter: {message}" if "\n" not in str(message) else str(message), err=True)
    sys.exit(status)


def unwritable(output: Path, error: OSError) -> NoReturn:
    """Ends the program because a file cannot be written, with the cause where it is one of the usual ones."""
    folder = output.absolute().parent
    if not folder.is_dir():
        fail(f"{output}: there is no folder {folder}; create it, or give a file in another one")
    remedies = {
        errno.ENOSPC: "make room, or give a file on another disk",
        errno.ENOENT: f"look at what else uses {folder}",
    }
    remedy = remedies.get(error.errno or 0, "give a file in a folder you may write to")
    fail(f"{output}: cannot be written: {error.strerror}; {remedy}")


def stopped() -> NoReturn:
    """Ends an interrupted program. All is closed by now; what Python would still say on its way out is for nobody."""
    click.echo("outcome-exporter: stopped", err=True)
    sys.stdout.flush()
    os._exit(130)


def guarded(work: Callable[[], Any]) -> Any:
    """Runs something whose known faults end the program with their text, and an interrupt with a word."""
    try:
        return work()
    except KeyboardInterrupt:
        stopped()
    except Exception as error:
        if isinstance(error, _known_faults()):
            fail(error)
        if "interrupted" not in str(error).lower():  # DuckDB's word for Ctrl-C in a query
            raise
        stopped()


def _known_faults() -> tuple[type[Exception], ...]:
    from exporter.base.strict_yaml import Mistakes
    from exporter.publish.backfill import BadRequestError, BeingWrittenError
    from exporter.server import Refusal
    from exporter.server.listen import ListenError
    from exporter.store import StoreError

    return StoreError, ListenError, Mistakes, Refusal, BadRequestError, BeingWrittenError
