"""Modules that take long to load and that many commands end without: they are loaded when they are used first."""

from importlib import import_module
from typing import Any


class Deferred:
    """Stands for a module. Type checkers are shown the module itself."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self._name), name)
