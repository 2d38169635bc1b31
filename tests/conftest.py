"""What several tests share because it takes long to make."""

import asyncio
from pathlib import Path

import pytest

from tests import demo


@pytest.fixture(scope="session")
def demo_config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The config of the demo, its store beside it. Who changes anything works on a copy of the folder."""
    return asyncio.run(demo.polled(tmp_path_factory.mktemp("demo")))
