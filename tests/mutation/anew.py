"""A connector imported once more, one of its modules made of other code, beside the one that is in use."""

import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import CodeType, ModuleType
from typing import cast

from exporter.collect.contract import Connector

PACKAGE = "exporter.connectors"


class Changed(MetaPathFinder, Loader):
    """Finds one module by its usual file, and makes it of other code."""

    def __init__(self, name: str, code: CodeType) -> None:
        self.name, self.code = name, code

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path, target) if fullname == self.name else None
        if spec:
            spec.loader = self
        return spec

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:  # noqa: ARG002 - the interface of loaders
        return None

    def exec_module(self, module: ModuleType) -> None:
        exec(self.code, module.__dict__)  # noqa: S102 - our own code, changed


def modules(folder: str) -> Iterator[tuple[str, Path]]:
    """The modules of a connector's folder, by their full names."""
    root = Path(import_module("exporter").__path__[0]) / "connectors" / folder
    for path in sorted(root.glob("*.py")):
        yield (f"{PACKAGE}.{folder}" + ("" if path.stem == "__init__" else f".{path.stem}")), path


def changed(folder: str, module: str, code: CodeType) -> Connector:
    """The connector of a folder with this change in this module. Whoever has imported it goes on with his own."""
    package, parent = f"{PACKAGE}.{folder}", import_module(PACKAGE)
    ours = [name for name in sys.modules if name == package or name.startswith(f"{package}.")]
    kept, finder = {name: sys.modules.pop(name) for name in ours}, Changed(module, code)
    sys.meta_path.insert(0, finder)
    try:
        return cast(Connector, import_module(package))
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
            del sys.modules[name]
        sys.modules.update(kept)
        setattr(parent, folder, kept[package])
