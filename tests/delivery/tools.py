"""The real programs of delivery: built once from pinned Go modules, or taken from PATH by name; and their schemas.

Building them takes minutes, so the tests that need them run only where OUTCOME_TEST_DELIVERY=1 (`make test-delivery`).
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from shutil import which
from typing import Any

import pytest
import yaml

from tests import deadline

ROOT = Path(__file__).parents[2]
CACHE = Path(os.environ.get("OUTCOME_TEST_CACHE") or ROOT / ".cache") / "delivery"
ASKED = os.environ.get("OUTCOME_TEST_DELIVERY") == "1"
asked = pytest.mark.skipif(not ASKED, reason="builds helm and others, for minutes; OUTCOME_TEST_DELIVERY=1")
MODULES: Mapping[str, str] = {
    "helm": "helm.sh/helm/v3/cmd/helm@v3.19.2",
    "kubeconform": "github.com/yannh/kubeconform/cmd/kubeconform@v0.7.0",
    "jsonnet": "github.com/google/go-jsonnet/cmd/jsonnet@v0.21.0",
    "nfpm": "github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.43.4",
}
DEFINITIONS: Mapping[str, Sequence[str]] = {
    "github.com/prometheus-operator/prometheus-operator@v0.85.0": (
        "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
        "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml",
    ),
    "github.com/grafana/grafana-operator/v5@v5.18.0": (
        "config/crd/bases/grafana.integreatly.org_grafanadashboards.yaml",
    ),
}
"""Module of an operator -> the definitions of its objects in there."""
KUBERNETES = "1.37.0"
SCHEMAS = f"kubernetes-validate=={KUBERNETES}"
"""The package on PyPI that holds Kubernetes' own schemas, as kubeconform reads them."""


def run(*command: str | Path, **options: Any) -> str:
    """What the program prints; what it complains of is in the failure."""
    limit = deadline.seconds(1200)
    done: subprocess.CompletedProcess[str] = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=limit, **options
    )

    assert done.returncode == 0, f"{command[0]}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
    return done.stdout


def tool(name: str) -> Path:
    """The program, of the pinned version unless this machine has one of that name."""
    built = CACHE / "bin" / name
    found = which(name)
    if not built.exists() and found:
        return Path(found)
    if not built.exists():
        run("go", "install", MODULES[name], env=os.environ | {"GOBIN": str(built.parent), "GOFLAGS": "-buildvcs=false"})
    return built


def schemas() -> str:
    """Where kubeconform finds the schemas: Kubernetes' own, and those of the operators' objects."""
    folder, packages = CACHE / "schemas", CACHE / "packages"
    if not folder.exists():
        run(sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", packages, SCHEMAS)
        making = CACHE / "making"
        making.mkdir(parents=True)
        for path in (packages / f"kubernetes_validate/kubernetes-json-schema/v{KUBERNETES}-local-strict").iterdir():
            (making / path.name).write_text(path.read_text().replace('"/api/', f'"{folder.as_uri()}/'))
        for name, schema in definitions():
            (making / f"{name}.json").write_text(json.dumps(schema))
        making.rename(folder)
    return str(folder / "{{.ResourceKind}}{{.KindSuffix}}.json")


def definitions() -> Iterator[tuple[str, Any]]:
    """Kind, group and version of an operator's objects, and the schema that the operator gives the cluster."""
    for module, paths in DEFINITIONS.items():
        place = Path(json.loads(run("go", "mod", "download", "-json", module))["Dir"])
        for path in paths:
            spec = yaml.safe_load((place / path).read_text())["spec"]
            group = spec["group"].split(".")[0]
            for version in spec["versions"]:
                name = f"{spec['names']['kind'].lower()}-{group}-{version['name']}"
                yield name, closed(version["schema"]["openAPIV3Schema"])


def closed(schema: Any) -> Any:
    """The schema, with keys that it does not name forbidden: the cluster would drop them in silence."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: closed(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and "x-kubernetes-preserve-unknown-fields" not in schema:
        made.setdefault("additionalProperties", False)
    return made
