"""The files of deploy/ as a cluster would take them: who runs with what, and by which name."""

import dataclasses
import json
import re
from typing import Any

import yaml

from conftest import ROOT

COMPOSE = ROOT / "deploy" / "compose.yaml"
KUBERNETES = ROOT / "deploy" / "kubernetes.yaml"
TFJOB = ROOT / "deploy" / "tfjob.yaml"
DOCKERFILE = ROOT / "deploy" / "Dockerfile"


@dataclasses.dataclass(frozen=True)
class Process:
    """One container.

    Attributes:
      environment: its variables, with what others of them refer to put in.
      flags: of the program.
      host: the name that leads others to it; "" if none does.
      probed: the ports that are asked whether it is well.
      volumes: path in the container -> name of a volume that outlives it.
    """

    environment: dict[str, str]
    flags: list[str]
    host: str
    probed: set[int]
    volumes: dict[str, str]

    @property
    def task(self) -> tuple[str, int]:
        """Role and index."""
        task = json.loads(self.environment["TF_CONFIG"])["task"]
        return task["type"], int(task["index"])


def compose() -> dict[str, Any]:
    return yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))


def kubernetes() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(KUBERNETES.read_text(encoding="utf-8")))


def of_kind(kind: str) -> list[dict[str, Any]]:
    """The documents of one kind."""
    return [document for document in kubernetes() if document["kind"] == kind]


def dockerfile() -> list[tuple[str, str]]:
    """Every instruction with its arguments."""
    text = DOCKERFILE.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [tuple(line.split(maxsplit=1)) for line in lines]


def compose_processes() -> list[Process]:
    return [_of_service(name, service) for name, service in compose()["services"].items()]


def kubernetes_processes() -> list[Process]:
    return [
        _of_pod(job, index)
        for job in of_kind("Job")
        for index in range(job["spec"].get("completions", 1))
    ]


def _of_service(name: str, service: dict[str, Any]) -> Process:
    test = service.get("healthcheck", {}).get("test", [])
    return Process(
        environment=service["environment"],
        flags=service["command"],
        host=name,
        probed={int(port) for port in re.findall(r"gethostname\(\), (\d+)\)", " ".join(test))},
        volumes={path: name for name, path in (v.split(":") for v in service.get("volumes", []))},
    )


def _of_pod(job: dict[str, Any], index: int) -> Process:
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    ports = {port["name"]: port["containerPort"] for port in container.get("ports", [])}
    probes = [container.get(f"{kind}Probe") for kind in ("startup", "readiness", "liveness")]
    claims = {
        volume["name"]: volume["persistentVolumeClaim"]["claimName"]
        for volume in pod["volumes"]
        if "persistentVolumeClaim" in volume
    }
    return Process(
        environment=_environment(container, index),
        flags=container["args"],
        host=_host(job, index),
        probed={ports[probe["tcpSocket"]["port"]] for probe in probes if probe},
        volumes={
            mount["mountPath"]: claims[mount["name"]]
            for mount in container["volumeMounts"]
            if mount["name"] in claims
        },
    )


def _host(job: dict[str, Any], index: int) -> str:
    """The full name, by https://kubernetes.io/docs/concepts/services-networking/dns-pod-service."""
    pod = job["spec"]["template"]["spec"]
    indexed = job["spec"].get("completionMode") == "Indexed"
    hostname = pod.get("hostname", f"{job['metadata']['name']}-{index}" if indexed else "")
    if not hostname or "subdomain" not in pod:
        return ""
    return f"{hostname}.{pod['subdomain']}.{job['metadata']['namespace']}.svc.cluster.local"


def _environment(container: dict[str, Any], index: int) -> dict[str, str]:
    """A variable may refer to those before it; a reference to any other stays as it is."""
    maps = {map_["metadata"]["name"]: map_["data"] for map_ in of_kind("ConfigMap")}
    fields = {"metadata.annotations['batch.kubernetes.io/job-completion-index']": str(index)}
    known: dict[str, str] = {}
    for variable in container["env"]:
        source = variable.get("valueFrom", {})
        if "configMapKeyRef" in source:
            key = source["configMapKeyRef"]
            value = maps[key["name"]][key["key"]]
        elif "fieldRef" in source:
            value = fields[source["fieldRef"]["fieldPath"]]
        else:
            value = re.sub(r"\$\((\w+)\)", lambda m: known.get(m[1], m[0]), variable["value"])
        known[variable["name"]] = value
    return known
