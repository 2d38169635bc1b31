"""The Helm chart, rendered by the real helm and held against the schemas of Kubernetes and of both operators."""

import json
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.__main__ import main
from tests.delivery.tools import ROOT, asked, run, schemas, tool

CHART = ROOT / "deploy/helm/outcome-exporter"
VALUES = Path(__file__).parent / "values"
RUNBOOK = "https://runbooks.example.com/outcome-exporter/alerts/README.md"
GRAFANA = "https://grafana.example.com"
every = pytest.mark.parametrize("values", sorted(path.stem for path in VALUES.glob("*.yaml")))
pytestmark = [asked, pytest.mark.real]


def template(values: str, *more: str) -> str:
    # A helm built from its module takes the cluster to be of version 1.20.
    cluster = ("--kube-version", "1.34.0")
    return run(tool("helm"), "template", "oe", CHART, *cluster, "--values", VALUES / f"{values}.yaml", *more)


def objects(values: str, *more: str) -> Mapping[tuple[str, str], Any]:
    """Kind and name -> the object."""
    found = [each for each in yaml.safe_load_all(template(values, *more)) if each]
    return {(each["kind"], each["metadata"]["name"]): each for each in found}


def conforming(manifests: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [tool("kubeconform"), "-strict", "-summary", "-schema-location", schemas()],
        input=manifests, capture_output=True, text=True, check=False,
    )  # fmt: skip


@every
def test_helm_has_nothing_to_say_against_the_chart(values: str) -> None:
    said = run(tool("helm"), "lint", "--strict", CHART, "--values", VALUES / f"{values}.yaml")

    assert "0 chart(s) failed" in said


@every
def test_every_object_is_as_its_schema_says(values: str) -> None:
    checked = conforming(template(values))

    assert checked.returncode == 0, checked.stdout
    assert "Invalid: 0, Errors: 0, Skipped: 0" in checked.stdout


@pytest.mark.parametrize(
    ("right", "wrong"), [("sampleLimit:", "samplelimit:"), ("readOnlyRootFilesystem:", "readOnlyRootFileSystem:")]
)
def test_the_schemas_notice_a_misspelt_key(right: str, wrong: str) -> None:
    checked = conforming(template("full").replace(right, wrong))

    assert checked.returncode == 1
    assert "Invalid: 1" in checked.stdout


@pytest.mark.parametrize(
    ("asked_for", "reason"),
    [
        (("--set", "serviceMonitor.intervall=30s"), "intervall"),
        (("--set", "image.tag=latest"), "image/tag"),
        (("--set", "config.sources=null"), "config.sources is empty: list at least one source"),
    ],
)
def test_what_is_wrong_in_the_values_is_refused_by_name(asked_for: tuple[str, ...], reason: str) -> None:
    with pytest.raises(AssertionError) as refused:
        template("min", *asked_for)

    assert reason in str(refused.value)


def test_the_config_in_the_chart_is_one_that_the_exporter_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = objects("min")["ConfigMap", "oe-outcome-exporter"]["data"]["outcome.yaml"]
    (tmp_path / "n8n").write_text("made-up")
    (tmp_path / "n8n").chmod(0o600)
    (tmp_path / "outcome.yaml").write_text(text.replace("/run/secrets/outcome-exporter", str(tmp_path)))

    with pytest.raises(SystemExit) as ended:
        main(["check", "--config.file", str(tmp_path / "outcome.yaml")])

    assert ended.value.code == 0, capsys.readouterr().err


def test_one_pod_owns_the_store_and_has_no_rights() -> None:
    spec = objects("min")["Deployment", "oe-outcome-exporter"]["spec"]
    pod, [container] = spec["template"]["spec"], spec["template"]["spec"]["containers"]

    assert (spec["replicas"], spec["strategy"]["type"]) == (1, "Recreate")
    assert pod["automountServiceAccountToken"] is False
    assert (pod["securityContext"]["runAsNonRoot"], pod["securityContext"]["runAsUser"]) == (True, 10042)
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_with_users_or_tls_probes_ask_on_the_socket_beside_the_store() -> None:
    found = objects("existing")
    [container] = found["Deployment", "outcomes"]["spec"]["template"]["spec"]["containers"]

    assert container["livenessProbe"]["exec"]["command"] == ["outcome-exporter", "health"]
    assert container["readinessProbe"]["exec"]["command"] == ["outcome-exporter", "health", "--ready"]
    assert "--web.config.file=/etc/outcome-exporter-web/web.yaml" in container["args"]
    assert {kind for kind, _ in found} & {"PersistentVolumeClaim", "ConfigMap", "ServiceAccount"} == set()


def test_rules_are_those_of_the_repository_with_your_links() -> None:
    found = objects("full")
    for name in ("kpi", "comparison", "exporter"):
        text = (ROOT / f"alerts/{name}.rules.yaml").read_text()
        text = text.replace(RUNBOOK, "https://wiki.example.org/outcome")
        expected = yaml.safe_load(text.replace(GRAFANA, "https://grafana.example.org"))

        assert found["PrometheusRule", f"oe-outcome-exporter-{name}"]["spec"] == expected
    assert found["PrometheusRule", "oe-outcome-exporter"]["spec"]["groups"][0]["name"] == "own"


def test_rules_ask_for_the_job_that_the_monitor_gives() -> None:
    found = objects("existing")
    [endpoint] = found["ServiceMonitor", "outcomes"]["spec"]["endpoints"]
    rules = json.dumps(found["PrometheusRule", "outcomes-exporter"])

    assert endpoint["relabelings"] == [{"targetLabel": "job", "replacement": "outcomes"}]
    assert 'up{job=\\"outcomes\\"}' in rules
    assert 'job=\\"outcome-exporter\\"' not in rules


def test_each_dashboard_is_an_object_of_its_own_for_sidecar_and_operator() -> None:
    found = objects("full")
    names = sorted(path.stem for path in (ROOT / "dashboards").glob("*.json"))

    assert len(names) >= 2
    for name in names:
        text = (ROOT / f"dashboards/{name}.json").read_text()
        text = text.replace(RUNBOOK, "https://wiki.example.org/outcome").replace(GRAFANA, "https://grafana.example.org")
        shared = found["ConfigMap", f"oe-outcome-exporter-{name}"]
        assert shared["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert json.loads(shared["data"][f"outcome-{name}.json"]) == json.loads(text)
        assert json.loads(found["GrafanaDashboard", f"oe-outcome-exporter-{name}"]["spec"]["json"]) == json.loads(text)


def test_a_packaged_chart_carries_rules_and_dashboards_and_nothing_else_of_the_repository(tmp_path: Path) -> None:
    run(tool("helm"), "package", CHART, "--destination", tmp_path)
    [package] = tmp_path.glob("*.tgz")
    with tarfile.open(package) as archive:
        names = {Path(name).relative_to("outcome-exporter") for name in archive.getnames()}
    carried = {str(name.relative_to("files")) for name in names if name.parts[0] == "files"}
    rules = {f"alerts/{path.name}" for path in (ROOT / "alerts").glob("*.rules.yaml")}

    assert carried == rules | {f"dashboards/{path.name}" for path in (ROOT / "dashboards").glob("*.json")}
    assert package.stat().st_size < 400_000, "a release, with its objects, must fit into a Secret of 1 MiB"
