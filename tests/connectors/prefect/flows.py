"""Flows for test_real.py, served by a real Prefect in a venv of its own."""

# mypy: disable-error-code="import-not-found, untyped-decorator"
# Prefect is installed in a venv of its own, where mypy does not look.

import os
import sys
import time
from pathlib import Path

from prefect import flow, serve


@flow
def good() -> None:
    pass


@flow
def bad() -> None:
    raise RuntimeError("the printer is on fire")


@flow
def rejected() -> None:
    raise ValueError("BusinessException: the order number is missing")


@flow
def crashing() -> None:
    os._exit(137)  # as when the machine runs out of memory


@flow(retries=2, retry_delay_seconds=0)
def flaky(file: str) -> None:
    """Fails once, then goes well."""
    first_time(file)


@flow
def helped(file: str) -> None:
    """Fails once; a person tries again."""
    first_time(file)


@flow
def long() -> None:
    time.sleep(600)


@flow
def parent() -> None:
    good()


def first_time(file: str) -> None:
    if not Path(file).exists():
        Path(file).touch()
        raise RuntimeError("not this time")


if __name__ == "__main__":
    names = (good, bad, rejected, crashing, flaky, helped, long, parent)
    serve(*(each.to_deployment("test", tags=["team:it"]) for each in names), limit=int(sys.argv[1]))
