"""Modules that take long to load and that many commands end without: they are loaded when they are used first."""

from importlib import import_module
from typing import TYPE_CHECKING, Any


class Deferred:
    """Stands for a module. Type checkers are shown the module itself."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        value = self.__dict__[name] = getattr(import_module(self._name), name)
        return value


if TYPE_CHECKING:
    import asyncio as asyncio  # noqa: PLC0414 - so that it is an export to type checkers
else:
    asyncio = Deferred("asyncio")  # a twentieth of the time that `check` takes, which awaits nothing
