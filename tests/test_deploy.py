"""deploy/: what can be checked without a container engine or a cluster."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from shutil import which
from typing import Any

import pytest
import yaml

from exporter import __version__
from exporter.__main__ import main
from exporter.catalogue.kpi import catalogue
from exporter.publish.cardinality import Limits
from exporter.render.promql import kept
from tests.shown import unknown_options

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
COMPOSE = DEPLOY / "compose"
PORT = "10042"
TAG = re.compile(r"[\w./-]+:v?\d+\.\d+\.\d+(-[\w.-]+)?")


def document(path: str) -> Any:
    return yaml.safe_load((DEPLOY / path).read_text())


def manifests() -> dict[str, Any]:
    """Every Kubernetes object, by kind."""
    found = [each for path in (DEPLOY / "kubernetes").rglob("*.yaml") for each in yaml.safe_load_all(path.read_text())]
    return {each["kind"]: each for each in found if "kind" in each}


SERVICES: Mapping[str, Mapping[str, Any]] = document("compose/compose.yaml")["services"]
services = pytest.mark.parametrize("name", SERVICES)


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(which(program) is None, reason=f"{program} is not installed")


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(arguments, capture_output=True, text=True, check=False)


def test_the_stack_is_exporter_prometheus_alertmanager_and_grafana() -> None:
    assert set(SERVICES) == {"demo", "exporter", "prometheus", "alertmanager", "grafana"}
    for name in ("demo", "exporter"):
        assert SERVICES[name]["image"] == f"outcome-exporter:{__version__}"


def test_either_the_demo_or_your_own_exporter_runs_beside_the_rest() -> None:
    profiles = {name: service["profiles"] for name, service in SERVICES.items()}

    assert (profiles.pop("demo"), profiles.pop("exporter")) == (["demo"], ["own"])
    assert set(map(tuple, profiles.values())) == {("demo", "own")}
    assert SERVICES["demo"]["networks"] == {"default": {"aliases": ["exporter"]}}, "the name that Prometheus asks for"


@services
def test_every_path_that_is_mounted_exists_and_is_read_only(name: str) -> None:
    volumes = document("compose/compose.yaml")["volumes"]

    assert SERVICES[name]["volumes"] != []
    for mount in SERVICES[name]["volumes"]:
        source, _, mode = mount.split(":")[0], mount.split(":")[1], (*mount.split(":"), "")[2]
        assert source in volumes or ((COMPOSE / source).exists() and mode == "ro"), mount


@services
def test_every_service_is_pinned_hardened_limited_and_asked_whether_it_is_well(name: str) -> None:
    service = SERVICES[name]

    assert TAG.fullmatch(service["image"]), service["image"]
    assert service["healthcheck"]["test"][0] == "CMD", "no shell"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "mem_limit" in service
    assert all(port.startswith("127.0.0.1:") for port in service["ports"]), "on loopback only"


def test_mounted_rules_and_dashboards_are_the_only_copies() -> None:
    assert "../../alerts:/etc/prometheus/rules:ro" in SERVICES["prometheus"]["volumes"]
    assert document("compose/prometheus/prometheus.yml")["rule_files"] == ["/etc/prometheus/rules/*.rules.yaml"]
    [provider] = document("compose/grafana/provisioning/dashboards/outcome.yaml")["providers"]
    assert f"../../dashboards:{provider['options']['path']}:ro" in SERVICES["grafana"]["volumes"]
    copies = [path for path in DEPLOY.rglob("*") if path.name.endswith((".rules.yaml", ".json"))]
    assert sorted(path.name for path in copies) == ["config.schema.json", "values.schema.json"]


def test_the_scrape_interval_is_the_one_grafana_is_told_and_rules_ask_for_the_job() -> None:
    prometheus = document("compose/prometheus/prometheus.yml")
    [job] = prometheus["scrape_configs"]
    source = document("compose/grafana/provisioning/datasources/prometheus.yaml")["datasources"][0]

    assert prometheus["global"]["scrape_interval"] == source["jsonData"]["timeInterval"] == "60s"
    assert f'up{{job="{job["job_name"]}"}}' in (ROOT / "alerts/exporter.rules.yaml").read_text()
    assert job["static_configs"] == [{"targets": [f"exporter:{PORT}"]}]
    assert job["sample_limit"] > Limits().series


def test_nothing_anywhere_is_latest() -> None:
    texts = {path: path.read_text() for path in DEPLOY.rglob("*") if path.is_file()}

    assert len(texts) > 10
    assert [path.name for path, text in texts.items() if re.search(r":latest\b", text)] == []


@needs("promtool")
def test_promtool_accepts_the_prometheus_config_with_the_rules(tmp_path: Path) -> None:
    text = (COMPOSE / "prometheus/prometheus.yml").read_text()
    path = tmp_path / "prometheus.yml"
    path.write_text(text.replace("/etc/prometheus/rules", str(ROOT / "alerts")))
    checked = run("promtool", "check", "config", path)

    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"{len(list((ROOT / 'alerts').glob('*.rules.yaml')))} rule files found" in checked.stdout


@needs("amtool")
def test_amtool_accepts_the_alertmanager_config() -> None:
    checked = run("amtool", "check-config", COMPOSE / "alertmanager/alertmanager.yml")

    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "2 inhibit rules" in checked.stdout


@needs("amtool")
@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (("alertname=OutcomeNoShowRateHigh", "severity=critical", "kpi=no_show_ratio"), "pager"),
        (("alertname=OutcomeNoShowRateHigh", "severity=warning", "kpi=no_show_ratio"), "team-queue"),
        (("alertname=OutcomeSourceStale", "severity=warning"), "team-queue"),
        (("alertname=OutcomeSeriesFolded", "severity=info"), "default"),
        (("alertname=OutcomeKpiOutOfDate", "severity=none", "kpi=no_show_ratio"), "nobody"),
        (("alertname=SomebodyElses", "severity=critical"), "default"),
    ],
)
def test_alerts_go_where_they_should(labels: tuple[str, ...], receiver: str) -> None:
    config = f"--config.file={COMPOSE / 'alertmanager/alertmanager.yml'}"
    routed = run("amtool", "config", "routes", "test", config, f"--verify.receivers={receiver}", *labels)

    assert routed.returncode == 0, routed.stdout + routed.stderr


def test_what_inhibits_is_an_alert_there_is() -> None:
    rules = (ROOT / "alerts/exporter.rules.yaml").read_text()
    matchers = [
        m
        for rule in document("compose/alertmanager/alertmanager.yml")["inhibit_rules"]
        for m in rule["source_matchers"]
    ]
    names = [name for matcher in matchers for name in re.findall(r'alertname="(\w+)"', matcher)]

    assert names == ["OutcomeKpiOutOfDate"]
    assert all(f"alert: {name}\n" in rules for name in names)


def test_a_critical_alert_holds_back_the_warning_about_the_same_thing_and_no_other() -> None:
    critical = document("compose/alertmanager/alertmanager.yml")["inhibit_rules"][0]
    own = {label for kpi in catalogue().values() for label in kept(kpi, catalogue())}

    assert {*critical["equal"]} == {"alertname", "job", "team", "window"} | own


@pytest.mark.parametrize("path", ["compose/outcome.yaml", "kubernetes/outcome.yaml"])
def test_the_configs_that_come_with_it_are_sound(path: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (DEPLOY / path).read_text()
    (tmp_path / "secrets").mkdir(mode=0o700)
    (tmp_path / "secrets/n8n").write_text("made-up")
    (tmp_path / "secrets/n8n").chmod(0o600)
    (tmp_path / "outcome.yaml").write_text(text.replace("/run/secrets/outcome-exporter", "secrets"))

    with pytest.raises(SystemExit) as ended:
        main(["check", "--config.file", str(tmp_path / "outcome.yaml")])

    assert ended.value.code == 0, capsys.readouterr().err
    assert "is valid" in capsys.readouterr().out


def test_the_image_is_locked_small_and_not_root() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    last = text[text.rindex("\nFROM ") :]
    base = re.findall(r"^ARG PYTHON=(\S+)$", text, flags=re.MULTILINE)

    assert TAG.fullmatch(base[0])
    assert re.findall(r"^FROM (\S+)", text, flags=re.MULTILINE) == ["${PYTHON}", "${PYTHON}"]
    assert "--require-hashes" in text
    assert "--only-binary :all:" in text, "nothing is compiled"
    assert re.search(r"^USER \d+:\d+$", last, flags=re.MULTILINE)
    assert re.search(r'^  CMD \["', last, flags=re.MULTILINE), "the health check needs no shell"
    assert re.search(r'^ENTRYPOINT \["', last, flags=re.MULTILINE)
    assert f"ARG VERSION={__version__}" in last
    assert f"0.0.0.0:{PORT}" in last
    assert "ENV PATH=/opt/venv/bin:$PATH" in last, "docker exec finds the command"
    assert "compileall" in text
    for source in re.findall(r"^COPY (?!--from)(\S+)", text, flags=re.MULTILINE):
        assert (ROOT / source).exists(), source
        assert f"!{source}" in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()


@needs("systemd-analyze")
def test_the_service_is_exposed_to_little() -> None:
    checked = run("systemd-analyze", "security", "--offline=true", DEPLOY / "systemd/outcome-exporter.service")
    score = re.search(r"Overall exposure level for .+: ([\d.]+)", checked.stdout)

    assert score is not None, checked.stdout + checked.stderr
    assert float(score[1]) <= 2.0


def test_one_pod_owns_the_store_and_has_no_rights() -> None:
    spec = manifests()["Deployment"]["spec"]
    pod, [container] = spec["template"]["spec"], spec["template"]["spec"]["containers"]

    assert (spec["replicas"], spec["strategy"]["type"]) == (1, "Recreate")
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["livenessProbe"]["httpGet"]["path"] == "/-/healthy"
    assert container["readinessProbe"]["httpGet"]["path"] == "/-/ready"
    assert {"requests", "limits"} == set(container["resources"])
    assert TAG.fullmatch(container["image"])
    assert container["image"].endswith(f":{__version__}")


def test_an_edited_config_reaches_the_pod() -> None:
    [container] = manifests()["Deployment"]["spec"]["template"]["spec"]["containers"]

    assert [mount["mountPath"] for mount in container["volumeMounts"] if "subPath" in mount] == []
    [made] = document("kubernetes/kustomization.yaml")["configMapGenerator"]
    assert made["files"] == ["outcome.yaml"]
    assert "disableNameSuffixHash" not in made["options"], "another content is another name, which restarts the pod"


REFUSE_TO_MAKE_CODE = 65
"""PR_SET_MDWE, what MemoryDenyWriteExecute asks of the kernel; kernels before 6.3 do not know it."""


def test_the_program_runs_where_memory_is_never_both_written_and_executed(tmp_path: Path) -> None:
    assert "MemoryDenyWriteExecute=yes" in (DEPLOY / "systemd/outcome-exporter.service").read_text()
    (tmp_path / "rows.csv").write_text("id,opened_at,outcome\n1,2026-03-01T00:00:00Z,open\n")
    source = "name: desk, type: files, path: rows.csv, record: request, segments: {team: {field: id, match: (.)}}"
    (tmp_path / "outcome.yaml").write_text(f"sources: [{{{source}}}]\n")
    code = f"""import ctypes, os, sys
ctypes.CDLL(None).prctl({REFUSE_TO_MAKE_CODE}, 1, 0, 0, 0)
os.execv(sys.executable, [sys.executable, "-m", "exporter", "once", "--config.file", "outcome.yaml"])"""
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert ended.returncode == 0, ended.stderr
    assert re.search(r'^outcome_backlog\{.*team="1"\} 1\.0$', ended.stdout, flags=re.MULTILINE)


def test_kubernetes_objects_find_each_other() -> None:
    found = manifests()
    labels = found["Deployment"]["spec"]["template"]["metadata"]["labels"]
    [port] = found["Service"]["spec"]["ports"]
    volumes = {volume["name"]: volume for volume in found["Deployment"]["spec"]["template"]["spec"]["volumes"]}
    monitor = found["ServiceMonitor"]["spec"]

    assert found["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert found["Service"]["spec"]["selector"] == labels
    assert found["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == labels
    assert monitor["selector"]["matchLabels"] == found["Service"]["metadata"]["labels"]
    assert labels[monitor["jobLabel"]] == "outcome-exporter", "the job that rules ask for"
    assert [endpoint["port"] for endpoint in monitor["endpoints"]] == [port["name"]] == ["metrics"]
    [config] = document("kubernetes/kustomization.yaml")["configMapGenerator"]
    assert volumes["config"]["configMap"]["name"] == config["name"]
    assert volumes["store"]["persistentVolumeClaim"]["claimName"] == found["PersistentVolumeClaim"]["metadata"]["name"]


def test_the_cron_line_asks_for_options_that_there_are_and_writes_what_the_collector_reads() -> None:
    [line] = [each for each in (DEPLOY / "textfile/outcome-exporter.cron").read_text().splitlines() if each[0] == "*"]
    command = line.split(maxsplit=6)[6]

    assert unknown_options(f"```sh\n{command}\n```\n") == []
    assert command.startswith("outcome-exporter once ")
    assert command.endswith(".prom")


def test_the_collector_scrapes_the_job_that_rules_ask_for_at_the_usual_address() -> None:
    config = document("otel-collector/config.yaml")
    [job] = config["receivers"]["prometheus"]["config"]["scrape_configs"]
    pipeline = config["service"]["pipelines"]["metrics"]

    assert job["job_name"] == document("compose/prometheus/prometheus.yml")["scrape_configs"][0]["job_name"]
    assert job["static_configs"] == [{"targets": [f"127.0.0.1:{PORT}"]}]
    assert set(pipeline["receivers"] + pipeline["processors"] + pipeline["exporters"]) == {
        *config["receivers"], *config["processors"], *config["exporters"],
    }  # fmt: skip


def test_links_in_the_read_me_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)]+)\)", (DEPLOY / "README.md").read_text())

    assert len(links) > 5
    assert [link for link in links if not (DEPLOY / link).exists()] == []
