"""The Compose file, held against the schema that Compose itself reads it by."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.delivery.tools import CACHE, ROOT, asked, run

MODULE = "github.com/compose-spec/compose-go/v2@v2.9.1"
VALIDATOR = "jsonschema==4.26.0"
COMPOSE: Mapping[str, Any] = yaml.safe_load((ROOT / "deploy/compose/compose.yaml").read_text())
pytestmark = [asked, pytest.mark.real]


def of_profile(profile: str) -> dict[str, Any]:
    """What `--profile` starts."""
    services = {name: each for name, each in COMPOSE["services"].items() if profile in each["profiles"]}
    return {**COMPOSE, "services": services}


def checked(document: Mapping[str, Any], folder: Path) -> subprocess.CompletedProcess[str]:
    packages = CACHE / "jsonschema"
    if not packages.exists():
        run(sys.executable, "-m", "pip", "install", "-q", "--target", packages, VALIDATOR)
    schema = Path(json.loads(run("go", "mod", "download", "-json", MODULE))["Dir"]) / "schema/compose-spec.json"
    (folder / "compose.json").write_text(json.dumps(document))
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "jsonschema", "-i", folder / "compose.json", schema],
        env=os.environ | {"PYTHONPATH": str(packages)}, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("profile", ["demo", "own"])
def test_compose_takes_the_file_with_either_profile(profile: str, tmp_path: Path) -> None:
    document = of_profile(profile)
    volumes = {
        volume.partition(":")[0]
        for service in document["services"].values()
        for volume in service.get("volumes", ())
        if not volume.startswith(".")
    }

    assert len(document["services"]) == 4
    assert volumes <= set(COMPOSE["volumes"])
    assert checked(document, tmp_path).stderr == ""


def test_the_schema_notices_a_misspelt_key(tmp_path: Path) -> None:
    document = of_profile("own")
    document["services"]["exporter"]["mem_limits"] = "1g"
    found = checked(document, tmp_path)

    assert found.returncode == 1
    assert "mem_limits" in found.stderr + found.stdout
