"""deploy/kubernetes: valid, without rights, and given every setting that the services read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from services.alert.app import AlertSettings
from services.classify.app import ClassifySettings
from services.ingest.app import IngestSettings
from services.runtime.process import STOP_WITHIN
from services.runtime.settings import ServiceSettings

FOLDER = Path(__file__).resolve().parents[2] / "deploy/kubernetes"
KUBERNETES = "1.32"
"""The oldest that is still cared for at the time of writing."""
OURS: dict[str, type[ServiceSettings]] = {
    "ingest": IngestSettings,
    "classify": ClassifySettings,
    "alert": AlertSettings,
}
SECRET = {
    "ingest": {"database_url"},
    "classify": set(),
    "alert": {"database_url", "link_secret"},
}
"""What presence-<service> must hold, as docs/operations.md says."""


def documents() -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{file.stem}-{number}", document)
        for file in sorted(FOLDER.glob("*.yaml"))
        if file.name not in ("kustomization.yaml", "presence.yaml")
        for number, document in enumerate(yaml.safe_load_all(file.read_text(encoding="utf-8")))
    ]


DOCUMENTS = dict(documents())
KUSTOMIZATION: dict[str, Any] = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())


def of_kind(kind: str) -> dict[str, dict[str, Any]]:
    return {one["metadata"]["name"]: one for one in DOCUMENTS.values() if one["kind"] == kind}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_kubernetes_takes_every_object(name: str) -> None:
    kubernetes_validate.validate(DOCUMENTS[name], KUBERNETES, strict=True)


def test_kustomize_knows_every_file_and_names_every_image() -> None:
    files = {one.name for one in FOLDER.glob("*.yaml")} - {"kustomization.yaml", "presence.yaml"}
    assert set(KUSTOMIZATION["resources"]) == files
    images = {one["name"] for one in KUSTOMIZATION["images"]}
    assert images == {f"presence-{name}" for name in OURS}


def pods() -> list[dict[str, Any]]:
    owners = [*of_kind("Deployment").values(), *of_kind("Job").values()]
    return [one["spec"]["template"]["spec"] for one in owners]


def test_nothing_runs_as_root_or_with_a_right() -> None:
    assert len(pods()) == len(OURS) + 1
    for pod in pods():
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 10001
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False
            assert context["readOnlyRootFilesystem"] is True
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize("name", OURS)
def test_a_service_gets_every_setting_it_needs(name: str) -> None:
    settings = of_kind("ConfigMap")["presence-settings"]["data"]
    needed = {
        f"PRESENCE_{field.upper()}"
        for field, about in OURS[name].model_fields.items()
        if about.is_required() and field not in SECRET[name]
    }
    assert needed <= set(settings)
    (container,) = of_kind("Deployment")[f"presence-{name}"]["spec"]["template"]["spec"][
        "containers"
    ]
    secrets = {one["secretRef"]["name"] for one in container["envFrom"] if "secretRef" in one}
    assert f"presence-{name}" in secrets
    config = settings["PRESENCE_CONFIG"].rpartition("/")[0]
    assert config in {one["mountPath"] for one in container["volumeMounts"]}
    port = int(settings[f"PRESENCE_{name.upper()}_PORT"])
    assert container["ports"] == [{"name": "http", "containerPort": port}]
    assert of_kind("Service")[f"presence-{name}"]["spec"]["ports"][0]["port"] == port


@pytest.mark.parametrize("name", OURS)
def test_a_service_is_replaced_without_a_gap(name: str) -> None:
    deployment = of_kind("Deployment")[f"presence-{name}"]["spec"]
    assert deployment["replicas"] >= 2
    assert deployment["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    pod = deployment["template"]["spec"]
    (container,) = pod["containers"]
    assert container["livenessProbe"]["httpGet"]["path"] == "/health/live"
    assert container["readinessProbe"]["httpGet"]["path"] == "/health/ready"
    assert pod["terminationGracePeriodSeconds"] > STOP_WITHIN + 3
    assert of_kind("PodDisruptionBudget")[f"presence-{name}"]["spec"]["minAvailable"] == 1


def test_nobody_is_let_in_who_is_not_named() -> None:
    default = of_kind("NetworkPolicy")["presence-default"]["spec"]
    assert default == {"podSelector": {}, "policyTypes": ["Ingress"]}
    reached = of_kind("NetworkPolicy")["presence-http"]["spec"]["podSelector"]["matchExpressions"]
    assert reached[0]["values"] == ["ingest", "alert"], "classify is reached by nobody from outside"
