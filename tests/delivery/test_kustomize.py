"""The kustomization, built by kubectl, as it is and as the base of somebody's own."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.delivery.test_chart import conforming
from tests.delivery.tools import ROOT, asked, run

BASE = ROOT / "deploy/kubernetes"
pytestmark = [asked, pytest.mark.real]
OWN = """
namespace: outcomes
resources: [base]
components: [base/prometheus-operator]
configMapGenerator: [{name: outcome-exporter, behavior: replace, files: [outcome.yaml]}]
images: [{name: registry.example.com/outcome-exporter, newName: registry.example.org/outcome-exporter}]
"""


def built(folder: Path) -> str:
    return run("kubectl", "kustomize", folder)


def by_kind(text: str) -> dict[str, Any]:
    return {each["kind"]: each for each in yaml.safe_load_all(text)}


def test_every_object_is_as_its_schema_says() -> None:
    checked = conforming(built(BASE))

    assert checked.returncode == 0, checked.stdout
    assert "Invalid: 0, Errors: 0, Skipped: 0" in checked.stdout


def test_a_kustomization_of_ones_own_replaces_config_and_image(tmp_path: Path) -> None:
    (tmp_path / "base").symlink_to(BASE)
    (tmp_path / "kustomization.yaml").write_text(OWN)
    (tmp_path / "outcome.yaml").write_text("sources: [{name: own, type: files, path: '*', record: run}]\n")
    text = built(tmp_path)
    found = by_kind(text)
    pod = found["Deployment"]["spec"]["template"]["spec"]
    [config] = [volume["configMap"]["name"] for volume in pod["volumes"] if volume["name"] == "config"]

    assert conforming(text).returncode == 0
    assert pod["containers"][0]["image"].startswith("registry.example.org/outcome-exporter:")
    assert found["ConfigMap"]["data"].keys() == {"outcome.yaml"}
    assert "own" in found["ConfigMap"]["data"]["outcome.yaml"]
    assert config == found["ConfigMap"]["metadata"]["name"] != by_kind(built(BASE))["ConfigMap"]["metadata"]["name"]
    assert {each["metadata"]["namespace"] for each in found.values()} == {"outcomes"}
