"""The examples in deploy/: their published schemas admit them, and they make a cluster."""

import ast
import copy
import json
import re
import shutil
import subprocess
import sys

import jsonschema
import kubernetes_validate
import pytest
import yaml
from deployments import (
    COMPOSE,
    TFJOB,
    compose,
    compose_processes,
    dockerfile,
    kubernetes,
    kubernetes_processes,
    of_kind,
)

from cnn_mnist.cluster import tf_config
from conftest import ROOT

PORT = 2222
MODEL_DIR = "/model_dir"
# The first in which podReplacementPolicy needs no switch, and the newest that is known.
KUBERNETES_VERSIONS = ["1.29", kubernetes_validate.latest_version()]
PARSE = "import sys; from cnn_mnist import main; main.parse_flags(sys.argv)"
ROLES = ["chief", "evaluator", "worker 0", "worker 1"]
DASHED = [role.replace(" ", "-") for role in ROLES]

both = pytest.mark.parametrize("processes", [compose_processes, kubernetes_processes])


def check_compose(path):
    """Checks a file against the Compose specification's schema; returns exit code and output."""
    result = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema=vendor.compose-spec", path],
        capture_output=True,
        text=True,
    )
    return result.returncode, result.stdout + result.stderr


def test_compose_is_what_its_specification_admits():
    code, output = check_compose(COMPOSE)
    assert code == 0, output
    assert "version" not in compose()  # obsolete


@pytest.mark.parametrize(
    ("place", "change", "complaint"),
    [
        ("services.chief", {"comand": []}, "'comand'"),
        ("services.chief.healthcheck", {"intervall": "10s"}, "'intervall'"),
        ("services.chief", {"depends_on": {"worker-0": {}}}, "'condition' is a required property"),
        ("services.chief", {"networks": "cluster"}, "'cluster' is not of type"),
        ("networks.cluster", {"internal": []}, "[] is not of type"),
        ("", {"service": {}}, "'service'"),
    ],
)
def test_a_broken_compose_file_is_refused(tmp_path, place, change, complaint):
    broken = compose()
    at(broken, place).update(change)
    (tmp_path / "compose.yaml").write_text(yaml.safe_dump(broken))
    code, output = check_compose(tmp_path / "compose.yaml")
    assert code == 1
    assert complaint in output


def at(document, place):
    """What is found in a document along a path such as `spec.ports.0`."""
    for key in filter(None, place.split(".")):
        document = document[int(key) if key.isdigit() else key]
    return document


@pytest.mark.parametrize("version", KUBERNETES_VERSIONS)
@pytest.mark.parametrize("document", kubernetes(), ids=lambda d: f"{d['kind']}-{named(d)}")
def test_kubernetes_documents_are_what_its_api_admits(document, version):
    kubernetes_validate.validate(document, version, strict=True)


def named(document):
    return document["metadata"]["name"]


POD = "spec.template.spec"
CONTAINER = f"{POD}.containers.0"


@pytest.mark.parametrize(
    ("kind", "place", "field", "renamed"),
    [
        ("Job", CONTAINER, "args", "arguments"),
        ("Job", CONTAINER, "name", None),
        ("Job", f"{CONTAINER}.securityContext", "readOnlyRootFilesystem", "readOnlyRootFileSystem"),
        ("Job", f"{CONTAINER}.startupProbe", "tcpSocket", "tcp"),
        ("Job", f"{CONTAINER}.startupProbe.tcpSocket", "port", None),
        ("Job", POD, "containers", None),
        ("Job", POD, "restartPolicy", "restart"),
        ("Job", "spec", "template", None),
        ("Job", "spec", "backoffLimit", "backOffLimit"),
        ("NetworkPolicy", "spec", "ingress", "ingres"),
        ("Service", "spec.ports.0", "port", None),
        ("Service", "spec", "publishNotReadyAddresses", "publishNotReady"),
        ("PersistentVolumeClaim", "spec", "accessModes", "accessMode"),
        ("ConfigMap", "", "data", "values"),
    ],
)
def test_a_broken_kubernetes_document_is_refused(kind, place, field, renamed):
    broken = copy.deepcopy(of_kind(kind)[0])
    parent = at(broken, place)
    value = parent.pop(field)
    if renamed:
        parent[renamed] = value
    for version in KUBERNETES_VERSIONS:
        with pytest.raises(kubernetes_validate.ValidationError, match=renamed or field):
            kubernetes_validate.validate(broken, version, strict=True)


@both
def test_each_process_is_who_its_place_says(processes):
    clusters = [tf_config.read(process.environment) for process in processes()]
    assert sorted(cluster.name for cluster in clusters) == ROLES


@both
def test_all_agree_on_the_cluster(processes):
    clusters = [tf_config.read(process.environment) for process in processes()]
    for cluster in clusters:
        assert cluster.spec == clusters[0].spec
    assert [len(clusters[0].spec[job]) for job in ("chief", "worker")] == [1, 2]


@both
def test_an_address_leads_to_its_process(processes):
    for process in processes():
        cluster = tf_config.read(process.environment)
        if cluster.role != "evaluator":  # nobody calls it
            assert cluster.address == f"{process.host}:{PORT}"


def test_the_names_of_services_and_jobs_are_those_of_their_roles():
    for name, process in zip(compose()["services"], compose_processes(), strict=True):
        cluster = tf_config.read(process.environment)
        assert name == (cluster.role if cluster.role in ("chief", "evaluator") else dashed(cluster))
    for job in of_kind("Job"):
        label = job["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/component"]
        (type_,) = {process.task[0] for process in kubernetes_processes_of(job)}
        assert named(job) == label == type_


def dashed(cluster):
    return cluster.name.replace(" ", "-")


def kubernetes_processes_of(job):
    return [process for process in kubernetes_processes() if process.task[0] == named(job)]


@both
def test_probes_ask_at_the_port_of_the_server(processes):
    for process in processes():
        expected = set() if process.task[0] == "evaluator" else {PORT}
        assert process.probed == expected


def test_a_health_check_is_python_that_runs():
    for service in compose()["services"].values():
        if "healthcheck" in service:
            kind, *command, code = service["healthcheck"]["test"]
            assert (kind, command) == ("CMD", ["python", "-c"])
            ast.parse(code)


def test_a_server_is_asked_thrice():
    for job in of_kind("Job"):
        container = at(job, CONTAINER)
        probes = sorted(name for name in container if name.endswith("Probe"))
        servers = ["livenessProbe", "readinessProbe", "startupProbe"]
        assert probes == ([] if named(job) == "evaluator" else servers)


@both
def test_only_chief_and_evaluator_have_the_model(processes):
    having = {process.task[0]: process.volumes for process in processes() if process.volumes}
    assert having == {"chief": {MODEL_DIR: "model"}, "evaluator": {MODEL_DIR: "model"}}
    assert all(f"--model_dir={MODEL_DIR}" in process.flags for process in processes())
    assert list(compose()["volumes"]) == ["model"]
    assert [named(claim) for claim in of_kind("PersistentVolumeClaim")] == ["model"]


@both
def test_the_program_takes_the_flags(processes, tmp_path):
    for process in processes():
        flags = [flag.replace(f"={MODEL_DIR}", f"={tmp_path}") for flag in process.flags]
        result = subprocess.run(
            [sys.executable, "-c", PARSE, *flags],
            cwd=ROOT,
            env=process.environment,
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, result.stderr


@both
def test_all_have_the_same_flags(processes):
    assert len({tuple(process.flags) for process in processes()}) == 1


def test_compose_publishes_nothing():
    for service in compose()["services"].values():
        assert not {"ports", "network_mode", "privileged", "entrypoint"} & set(service)
        assert service["networks"] == ["cluster"]
    assert compose()["networks"] == {"cluster": {"internal": True}}


def test_kubernetes_publishes_nothing():
    kinds = {document["kind"] for document in kubernetes()}
    assert not kinds & {"Ingress", "Gateway", "HTTPRoute"}
    (service,) = of_kind("Service")
    assert service["spec"]["clusterIP"] == "None"
    assert "type" not in service["spec"]
    assert service["spec"]["publishNotReadyAddresses"] is True
    for job in of_kind("Job"):
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(at(job, POD))
        assert "command" not in at(job, CONTAINER)
        assert not any("hostPort" in port for port in at(job, CONTAINER).get("ports", []))


def test_only_pods_of_the_job_reach_its_port():
    (policy,) = of_kind("NetworkPolicy")
    (service,) = of_kind("Service")
    own = service["spec"]["selector"]
    port = {"protocol": "TCP", "port": PORT}
    assert policy["spec"]["podSelector"] == {"matchLabels": own}
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert policy["spec"]["ingress"] == [
        {"from": [{"podSelector": {"matchLabels": own}}], "ports": [port]}
    ]
    to_own, to_all = policy["spec"]["egress"]
    assert to_own == {"to": [{"podSelector": {"matchLabels": own}}], "ports": [port]}
    assert {port["port"] for port in to_all["ports"]} == {53}  # of names
    assert [port["port"] for port in service["spec"]["ports"]] == [PORT]
    for job in of_kind("Job"):
        assert own.items() <= at(job, "spec.template.metadata.labels").items()


def test_kubernetes_documents_refer_to_each_other():
    (namespace,) = of_kind("Namespace")
    (service,) = of_kind("Service")
    (claim,) = of_kind("PersistentVolumeClaim")
    for document in kubernetes():
        if document["kind"] != "Namespace":
            assert document["metadata"]["namespace"] == named(namespace)
    for job in of_kind("Job"):
        pod = at(job, POD)
        assert pod.get("subdomain", named(service)) == named(service)
        volumes = {volume["name"] for volume in pod["volumes"]}
        assert volumes == {mount["name"] for mount in at(job, CONTAINER)["volumeMounts"]}
        for volume in pod["volumes"]:
            if "persistentVolumeClaim" in volume:
                assert volume["persistentVolumeClaim"]["claimName"] == named(claim)
    assert len({at(job, CONTAINER)["image"] for job in of_kind("Job")}) == 1


def test_who_dies_is_started_again_and_who_ends_is_given_time():
    for service in compose()["services"].values():
        assert service["restart"] == "on-failure"
        assert service["stop_grace_period"] == "60s"
    for job in of_kind("Job"):
        assert job["spec"]["backoffLimit"] > 0
        assert job["spec"].get("parallelism", 1) == job["spec"].get("completions", 1)
        assert job["spec"]["podReplacementPolicy"] == "Failed"
        assert at(job, POD)["restartPolicy"] == "OnFailure"
        assert at(job, POD)["terminationGracePeriodSeconds"] == 60


def test_no_container_is_root_or_may_become_it():
    ((_, user),) = [one for one in dockerfile() if one[0] == "USER"]
    uid, gid = map(int, user.split(":"))
    assert uid > 0
    for job in of_kind("Job"):
        of_pod, of_container = (
            at(job, POD)["securityContext"],
            at(job, CONTAINER)["securityContext"],
        )
        assert (of_pod["runAsUser"], of_pod["runAsGroup"]) == (uid, gid)
        assert of_pod.get("fsGroup", gid) == gid
        assert of_pod["runAsNonRoot"] is True
        assert of_container["allowPrivilegeEscalation"] is False
        assert of_container["readOnlyRootFilesystem"] is True
        assert of_container["capabilities"] == {"drop": ["ALL"]}
    for service in compose()["services"].values():
        assert "user" not in service  # the image's
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]


def test_the_volume_belongs_to_the_user():
    for job in of_kind("Job"):
        claims = [v for v in at(job, POD)["volumes"] if "persistentVolumeClaim" in v]
        assert bool(claims) == ("fsGroup" in at(job, POD)["securityContext"])
    (setup,) = [rest for name, rest in dockerfile() if name == "RUN" and "useradd" in rest]
    ((_, user),) = [one for one in dockerfile() if one[0] == "USER"]
    uid, gid = user.split(":")
    assert f"--gid {gid} " in setup
    assert f"--uid {uid} --gid {gid} " in setup
    assert f"--owner={uid} --group={gid} {MODEL_DIR}" in setup


def test_the_image_has_what_the_program_is_installed_from():
    copied = [word for name, rest in dockerfile() if name == "COPY" for word in rest.split()[:-1]]
    assert all((ROOT / word).exists() for word in copied)
    read = re.findall(r'ROOT / "([\w.]+)"', (ROOT / "setup.py").read_text())
    assert {"setup.py", "pyproject.toml", "LICENSE", *read} <= set(copied)
    ignore = (ROOT / ".dockerignore").read_text().split("\n")
    assert "*" in ignore
    assert sorted(line[1:] for line in ignore if line.startswith("!")) == sorted(copied)


def test_the_image_runs_the_program():
    instructions = dict(dockerfile())
    assert ast.literal_eval(instructions["ENTRYPOINT"]) == ["python", "-m", "cnn_mnist.main"]
    minor = int(re.fullmatch(r"python:3\.(\d+)-slim", instructions["FROM"])[1])
    assert 10 <= minor <= 13
    assert "EXPOSE" not in instructions


# Of TFJob, as the training operator publishes it (kubeflow/training-operator 1.9,
# manifests/base/crds/kubeflow.org_tfjobs.yaml): its own fields. Pods are those of Kubernetes.
OF_RUN_POLICY = {
    "activeDeadlineSeconds": {"type": "integer"},
    "backoffLimit": {"type": "integer"},
    "cleanPodPolicy": {"enum": ["All", "Running", "None"]},
    "schedulingPolicy": {"type": "object"},
    "suspend": {"type": "boolean"},
    "ttlSecondsAfterFinished": {"type": "integer"},
}
OF_REPLICA = {
    "replicas": {"type": "integer"},
    "restartPolicy": {"enum": ["Always", "OnFailure", "Never", "ExitCode"]},
    "template": {"type": "object"},
}


def exactly(properties, *required):
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


TFJOB_SCHEMA = exactly(
    {
        "apiVersion": {"const": "kubeflow.org/v1"},
        "kind": {"const": "TFJob"},
        "metadata": {"type": "object"},
        "spec": exactly(
            {
                "enableDynamicWorker": {"type": "boolean"},
                "runPolicy": exactly(OF_RUN_POLICY),
                "successPolicy": {"enum": ["", "AllWorkers"]},
                "tfReplicaSpecs": exactly(
                    dict.fromkeys(
                        ("Chief", "Evaluator", "Master", "PS", "Worker"),
                        exactly(OF_REPLICA, "template"),
                    )
                ),
            },
            "tfReplicaSpecs",
        ),
    },
    *("apiVersion", "kind", "metadata", "spec"),
)


def tfjob():
    *_, job = yaml.safe_load_all(TFJOB.read_text(encoding="utf-8"))
    return job


def replicas():
    return tfjob()["spec"]["tfReplicaSpecs"]


def tf_configs_of_operator():
    """What the operator tells each pod: https://www.kubeflow.org/docs/components/trainer/legacy-v1.

    A pod's service is called JOB-TYPE-INDEX; the evaluator is not in `cluster`.
    """
    name, space = tfjob()["metadata"]["name"], tfjob()["metadata"]["namespace"]
    jobs = {kind.lower(): replica["replicas"] for kind, replica in replicas().items()}
    cluster = {
        job: [f"{name}-{job}-{index}.{space}.svc:{PORT}" for index in range(count)]
        for job, count in jobs.items()
        if job != "evaluator"
    }
    for job, count in jobs.items():
        for index in range(count):
            task = {"type": job, "index": index}
            yield {"cluster": cluster, "task": task, "environment": "cloud"}


def test_the_tfjob_is_what_its_published_schema_admits():
    jsonschema.validate(tfjob(), TFJOB_SCHEMA)


@pytest.mark.parametrize(
    ("place", "change"),
    [
        ("spec.runPolicy", {"cleanPodPolicy": "Sometimes"}),
        ("spec.runPolicy", {"backOffLimit": 3}),
        ("spec.tfReplicaSpecs.Chief", {"restartPolicy": "On-Failure"}),
        ("spec.tfReplicaSpecs", {"Boss": {"template": {}}}),
        ("spec", {"successPolicy": "AnyWorker"}),
    ],
)
def test_a_broken_tfjob_is_refused(place, change):
    broken = tfjob()
    at(broken, place).update(change)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, TFJOB_SCHEMA)


def test_the_models_of_the_training_operator_know_every_field():
    """Its own Python package, generated from what it publishes, where it is installed."""
    models = pytest.importorskip("kubeflow.training.models")

    def check(model, value):
        names = {name: attribute for attribute, name in model.attribute_map.items()}
        for field, inner in value.items():
            kind = model.openapi_types[names[field]]
            inners = [inner]
            if kind.startswith("dict("):
                kind, inners = kind.removeprefix("dict(str, ").rstrip(")"), inner.values()
            if kind.startswith("KubeflowOrg"):
                for each in inners:
                    check(getattr(models, kind), each)

    check(models.KubeflowOrgV1TFJob, tfjob())


@pytest.mark.parametrize("version", KUBERNETES_VERSIONS)
def test_the_pods_of_the_tfjob_are_what_kubernetes_admits(version):
    for kind, replica in replicas().items():
        document = {
            "apiVersion": "v1",
            "kind": "PodTemplate",
            "metadata": {"name": kind.lower()},
            "template": copy.deepcopy(replica["template"]),
        }
        kubernetes_validate.validate(document, version, strict=True)


def test_around_the_tfjob_is_what_is_around_the_jobs():
    others = list(yaml.safe_load_all(TFJOB.read_text(encoding="utf-8")))[:-1]
    for kind, other in zip(
        ("Namespace", "NetworkPolicy", "PersistentVolumeClaim"), others, strict=True
    ):
        assert [other] == of_kind(kind)
    (policy,) = of_kind("NetworkPolicy")
    for replica in replicas().values():
        labels = replica["template"]["metadata"]["labels"]
        assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()


def test_the_operators_configuration_makes_the_cluster(tmp_path):
    clusters = [tf_config.read({"TF_CONFIG": json.dumps(c)}) for c in tf_configs_of_operator()]
    assert sorted(cluster.name for cluster in clusters) == ROLES
    flags = {tuple(at(r, "template.spec.containers.0.args")) for r in replicas().values()}
    assert flags == {tuple(process.flags) for process in kubernetes_processes()}


def test_the_containers_of_the_tfjob_are_those_of_the_jobs_but_for_names_and_probes():
    jobs = {named(job): job for job in of_kind("Job")}
    for kind, replica in replicas().items():
        theirs, ours = (
            at(jobs[kind.lower()], CONTAINER),
            at(replica, "template.spec.containers.0"),
        )
        for field in ("image", "args", "resources", "securityContext", "volumeMounts"):
            assert ours[field] == theirs[field], (kind, field)
        # By these names the operator knows which container trains, and where it listens.
        assert ours["name"] == "tensorflow"
        assert ours["ports"] == [{"name": "tfjob-port", "containerPort": PORT}]
        probes = [name for name in ours if name.endswith("Probe")]
        assert probes == ([] if kind == "Evaluator" else ["livenessProbe"])
        assert replica["restartPolicy"] == "OnFailure"
        ours, theirs = at(replica, "template.spec"), at(jobs[kind.lower()], POD)
        for field in ("securityContext", "volumes", "terminationGracePeriodSeconds"):
            assert ours[field] == theirs[field], (kind, field)


def docker(*command, **options):
    return subprocess.run(["docker", *command], capture_output=True, text=True, **options)


def why_no_engine():
    """Why no containers can be run here; "" if they can."""
    if shutil.which("docker") is None:
        return "no docker here"
    info = docker("info", "--format={{.ServerVersion}}")
    return "" if info.returncode == 0 else f"no Docker engine here: {info.stderr.strip()}"


@pytest.mark.long
def test_the_compose_file_trains(tmp_path):
    if why := why_no_engine():
        pytest.skip(why)
    short = compose()
    for service in short["services"].values():
        service["build"]["context"] = str(ROOT)
        service["command"] = [*service["command"], "--steps=30", "--recipe=tfjs"]
    file, project = tmp_path / "compose.yaml", f"cnn-mnist-{tmp_path.name}".lower()
    file.write_text(yaml.safe_dump(short))
    of_project = ("compose", f"--project-name={project}", f"--file={file}")
    try:
        result = docker(*of_project, "up", "--build", "--no-color")
        assert result.returncode == 0, result.stderr[-2000:]
        assert "trained 30 steps" in result.stdout
        codes = docker(*of_project, "ps", "--all", "--format={{.Service}} {{.ExitCode}}").stdout
        assert sorted(codes.split("\n"))[1:] == [f"{name} 0" for name in DASHED]
    finally:
        docker(*of_project, "down", "--volumes", "--rmi=local")
