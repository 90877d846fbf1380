"""TF_CONFIG: which cluster it names, and in what words it is refused."""

import json
import subprocess
import sys

import pytest

from cnn_mnist.cluster import tf_config
from cnn_mnist.cluster.tf_config import Cluster
from cnn_mnist.utils import listening
from cnn_mnist.utils.errors import UsageError

# Unlike numbers of each, so that no two can be taken for each other.
JOBS = {
    "chief": ["a:2222"],
    "worker": ["b:2222", "c:2222", "d:2222"],
}
CHIEF = {"type": "chief", "index": 0}


def read(config):
    text = config if isinstance(config, str) else json.dumps(config)
    return tf_config.read({"TF_CONFIG": text, "PATH": "x"})


def of(role, index, jobs=JOBS, **more):
    """The cluster `jobs`, read by one of its processes."""
    return read({"cluster": jobs, "task": {"type": role, "index": index}, **more})


def refusal(config):
    with pytest.raises(UsageError) as caught:
        read(config)
    message = str(caught.value)
    assert message.splitlines() == [message]
    assert message.isprintable()
    assert len(message) < 500
    return message


def with_jobs(**jobs):
    """`JOBS` with some replaced, as a configuration of the chief."""
    return {"cluster": {**JOBS, **jobs}, "task": CHIEF}


def with_task(**task):
    return {"cluster": JOBS, "task": task}


# What it says.


@pytest.mark.parametrize(
    ("role", "index", "name", "address", "device"),
    [
        ("chief", 0, "chief", "a:2222", "/job:chief/task:0"),
        ("worker", 0, "worker 0", "b:2222", "/job:worker/task:0"),
        ("worker", 2, "worker 2", "d:2222", "/job:worker/task:2"),
        ("evaluator", 0, "evaluator", "", "/job:evaluator/task:0"),
    ],
)
def test_a_process_of_a_cluster(role, index, name, address, device):
    cluster = of(role, index)
    assert cluster == Cluster("a:2222", ("b:2222", "c:2222", "d:2222"), role, index)
    assert (cluster.name, cluster.address, cluster.device) == (name, address, device)
    trainers = {
        "the chief": "a:2222",
        "worker 0": "b:2222",
        "worker 1": "c:2222",
        "worker 2": "d:2222",
    }
    assert list(cluster.trainers.items()) == list(trainers.items())
    assert cluster.others == {name: at for name, at in trainers.items() if at != address}
    assert cluster.spec == JOBS


def test_the_place_among_the_trainers():
    for role, index, rank in (("chief", 0, 0), ("worker", 0, 1), ("worker", 2, 3)):
        cluster = of(role, index)
        assert list(cluster.trainers.values()).index(cluster.address) == rank


def test_jobs_without_addresses_are_not_in_the_spec():
    cluster = of("evaluator", 0, {"chief": ["a:1"], "worker": [], "ps": []})
    assert cluster.spec == {"chief": ["a:1"]}


@pytest.mark.parametrize("role", ["chief", "evaluator"])
def test_an_evaluator_within_the_cluster(role):
    cluster = of(role, 0, {**JOBS, "evaluator": ["g:2222"]})
    assert cluster.has_evaluator
    assert cluster.spec == JOBS
    assert cluster.address == ("a:2222" if role == "chief" else "")
    assert not of(role, 0).has_evaluator


@pytest.mark.parametrize(
    "config",
    [
        "{}",
        " {} ",
        {"environment": "cloud", "job": {}, "trial": "7"},
        {"cluster": {}},
        {"cluster": {}, "task": {"type": "worker", "index": 3}, "rpc_layer": "carrier pigeon"},
        {"cluster": {"chief": ["a:1"]}, "task": CHIEF},
        {"cluster": {"chief": ["a:1"], "worker": [], "ps": []}, "task": CHIEF},
        {"cluster": {"chief": ["a:1"], "evaluator": ["b:1"]}, "task": CHIEF},
    ],
)
def test_a_process_by_itself(config):
    assert read(config) is None
    assert tf_config.read({}) is None


def test_the_evaluator_of_a_chief_that_is_alone():
    cluster = of("evaluator", 0, {"chief": ["a:1"]})
    assert (cluster.role, cluster.spec) == ("evaluator", {"chief": ["a:1"]})


def test_other_keys_are_passed_over():
    more = {"environment": "cloud", "job": 1, "trial": None, "rpc_layer": "grpc", "model_dir": "x"}
    assert of("worker", 1, **more) == of("worker", 1)


def test_an_index_in_digits():
    assert of("worker", "2") == of("worker", 2)


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("host:1", ("host", 1)),
        ("my-host_1.example.org:65535", ("my-host_1.example.org", 65535)),
        ("10.0.0.7:02222", ("10.0.0.7", 2222)),
        ("[::1]:2222", ("::1", 2222)),
        ("[fe80::1%eth0]:2222", ("fe80::1%eth0", 2222)),
    ],
)
def test_the_parts_of_an_address(address, parts):
    assert listening.host_and_port(address) == parts
    assert of("chief", 0, {**JOBS, "chief": [address]}).address == address


def test_reading_takes_the_standard_library_alone():
    code = (
        "import sys\nfrom cnn_mnist.cluster import tf_config\ntf_config.read({})\n"
        "print([name for name in ('tensorflow', 'numpy', 'absl') if name in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert printed.stdout == b"[]\n"


# What it refuses.


@pytest.mark.parametrize(
    "config", ["", "x", "[]", "1", "null", "{'a': 1}", "{", "[" * 99_999, "\n", "9" * 9999]
)
def test_what_is_not_an_object(config):
    message = refusal(config)
    assert message.startswith("TF_CONFIG=")
    assert "expected a JSON object, found " in message
    assert message.endswith("; mend it or unset TF_CONFIG")


@pytest.mark.parametrize(
    ("cluster", "found"), [([], "a list"), (None, "null"), ("a:1", '"a:1"'), (1, "1")]
)
def test_a_cluster_that_is_not_an_object(cluster, found):
    said = f"TF_CONFIG: cluster: expected an object, found {found}; mend it or remove it"
    assert refusal({"cluster": cluster, "task": CHIEF}) == said


@pytest.mark.parametrize("job", ["soup", "Worker", "", "a\nb\x1b[2J", "\ud800", "n" * 9999])
def test_an_unknown_job(job):
    message = refusal(with_jobs(**{job: ["z:1"]}))
    start = "TF_CONFIG: cluster: expected only the jobs chief, worker and evaluator, found "
    assert message.startswith(start + json.dumps(job)[:50])


def test_the_old_name_of_the_chief():
    config = {"cluster": {"master": ["a:1"]}, "task": {"type": "master", "index": 0}}
    assert refusal(config) == ("TF_CONFIG: cluster.master: this job is called chief now; rename it")
    assert refusal(with_task(type="master", index=0)) == (
        'TF_CONFIG: task.type: expected chief, worker or evaluator, found "master"; '
        "this job is called chief now"
    )


@pytest.mark.parametrize(
    ("addresses", "found"), [({"0": "b:1"}, "an object"), ("b:1", '"b:1"'), (None, "null")]
)
def test_a_job_that_is_not_a_list(addresses, found):
    assert refusal(with_jobs(worker=addresses)) == (
        'TF_CONFIG: cluster.worker: expected a list of addresses, such as ["host:2222"], '
        f"found {found}; write a list"
    )


@pytest.mark.parametrize("address", [None, 2222, True, ["c:1"], {"host": "c"}])
def test_an_address_that_is_not_a_text(address):
    message = refusal(with_jobs(worker=["b:1", address]))
    assert message.startswith('TF_CONFIG: cluster.worker[1]: expected an address "host:port", ')


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("", 'an address such as "host:2222" or "[2001:db8::1]:2222"'),
        ("host", "an address such as"),
        ("host:", "an address such as"),
        ("host:http", "an address such as"),
        ("host:-1", "an address such as"),
        ("host:+1", "an address such as"),
        ("host:1.5", "an address such as"),
        ("host:\u0661", "an address such as"),
        ("host:1 ", "an address such as"),
        ("host:1\n", "an address such as"),
        ("ho st:1", "an address such as"),
        ("h\u00f6st:1", "an address such as"),
        ("a\x1b[2J:1", "an address such as"),
        ("\ud800:1", "an address such as"),
        ("grpc://host:1", "an address such as"),
        ("host/path:1", "an address such as"),
        ("a,b:1", "an address such as"),
        ("::1:2222", "an address such as"),
        ("[::1]", "an address such as"),
        ("[]:1", "an address such as"),
        ("n" * 254 + ":1", "an address such as"),
        ("n" * 99_999, "an address such as"),
        (":2222", 'a host before the colon, as in "host:2222"'),
        ("host:0", "a port of 1 to 65535"),
        ("host:65536", "a port of 1 to 65535"),
        ("host:123456", "a port of 1 to 65535"),
        ("host:" + "1" * 9999, "an address such as"),
        ("[::1]:0", "a port of 1 to 65535"),
        ("[host]:1", "an IPv6 address in the brackets"),
        ("[10.0.0.7]:1", "an IPv6 address in the brackets"),
        ("[1:2]:1", "an IPv6 address in the brackets"),
    ],
)
def test_what_is_not_an_address(address, expected):
    message = refusal(with_jobs(worker=["e:1", address]))
    assert message.startswith(f"TF_CONFIG: cluster.worker[1]: expected {expected}")
    assert f", found {json.dumps(address)[:50]}" in message
    assert message.endswith("; mend the address")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("z:1", "z:1"),
        ("z:1", "Z:01"),
        ("10.0.0.7:1", "10.0.0.7:1"),
        ("[2001:db8::1]:1", "[2001:DB8:0::1]:1"),
        ("localhost:1", "127.0.0.1:1"),
        ("127.0.0.1:1", "[::1]:1"),
    ],
)
def test_an_address_that_is_there_twice(one, other):
    assert refusal(with_jobs(worker=["b:1", one, other])) == (
        "TF_CONFIG: cluster.worker[2]: expected an address of its own, found that of "
        f"cluster.worker[1], {other}; give each process a host or port of its own"
    )


def test_one_host_with_several_ports():
    assert of("chief", 0, {"chief": ["h:1"], "worker": ["h:2", "h:3"]})


@pytest.mark.parametrize(
    ("jobs", "said"),
    [
        ({"chief": []}, "cluster.chief: expected exactly one address, found none; name the chief"),
        (
            {"chief": ["a:1", "z:1"]},
            "cluster.chief: expected exactly one address, found 2; keep one of them",
        ),
        (
            {"evaluator": ["x:1", "y:1", "z:1"]},
            "cluster.evaluator: expected at most one address, found 3; keep one of them",
        ),
    ],
)
def test_too_few_and_too_many_of_a_job(jobs, said):
    assert refusal(with_jobs(**jobs)) == f"TF_CONFIG: {said}"


def test_jobs_that_are_left_out():
    message = refusal({"cluster": {"worker": ["b:1"]}, "task": CHIEF})
    assert message.startswith("TF_CONFIG: cluster.chief: expected exactly one address, found none")


def test_parameter_servers_are_refused_in_a_sentence():
    said = "--strategy=multi_worker needs no parameter servers; remove them, and start none"
    assert refusal(with_jobs(ps=["e:1"])) == f"TF_CONFIG: cluster.ps: {said}"
    message = refusal(with_task(type="ps", index=0))
    assert message == (
        f'TF_CONFIG: task.type: expected chief, worker or evaluator, found "ps"; {said}'
    )


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ({"cluster": JOBS}, "nothing"),
        ({"cluster": JOBS, "task": None}, "nothing"),
        ({"cluster": JOBS, "task": "chief"}, '"chief"'),
        ({"cluster": {"chief": ["a:1"]}, "task": []}, "a list"),
    ],
)
def test_a_task_that_is_not_an_object(config, found):
    assert refusal(config) == (
        'TF_CONFIG: task: expected an object such as {"type": "worker", "index": 0}, '
        f"found {found}; say which process of the cluster this is"
    )


@pytest.mark.parametrize(
    ("task", "found"),
    [
        ({"index": 0}, "nothing"),
        ({"type": None, "index": 0}, "null"),
        ({"type": "soup", "index": 0}, '"soup"'),
        ({"type": ["chief"], "index": 0}, "a list"),
        ({"type": "s\n" * 99, "index": 0}, '"s\\ns\\n'),
    ],
)
def test_an_unknown_type(task, found):
    start = f"TF_CONFIG: task.type: expected chief, worker or evaluator, found {found}"
    assert refusal(with_task(**task)).startswith(start)


def test_a_type_that_the_cluster_does_not_have():
    config = {
        "cluster": {"chief": ["a:1"]},
        "task": {"type": "worker", "index": 0},
    }
    assert refusal(config) == (
        'TF_CONFIG: task.type: expected a job of the cluster, found "worker"; '
        "mend it, or name the address in cluster.worker"
    )


@pytest.mark.parametrize(
    ("index", "found"),
    [
        (None, "null"),
        (True, "true"),
        (False, "false"),
        (1.0, "1.0"),
        ([1], "a list"),
        ("one", '"one"'),
        ("", '""'),
        ("-1", '"-1"'),
        ("\u0661", '"\\u0661"'),
        ("1\n", '"1\\n"'),
        ("1" * 5000, '"1111'),
    ],
)
def test_an_index_that_is_not_a_whole_number(index, found):
    start = f"TF_CONFIG: task.index: expected a whole number, found {found}"
    assert refusal(with_task(type="worker", index=index)).startswith(start)


def test_an_index_that_is_left_out():
    said = "TF_CONFIG: task.index: expected a whole number, found nothing; mend it"
    assert refusal(with_task(type="worker")) == said


@pytest.mark.parametrize(
    ("role", "index", "said"),
    [
        ("worker", 3, "expected 0 to 2, found 3, but cluster.worker has 3 addresses; mend it"),
        ("worker", -1, "expected 0 to 2, found -1, but cluster.worker has 3 addresses; mend it"),
        ("worker", "3", "expected 0 to 2, found 3, but cluster.worker has 3 addresses; mend it"),
        ("chief", 1, "expected 0, found 1, but cluster.chief has 1 address; mend it"),
        ("evaluator", 1, "expected 0, found 1; mend it"),
    ],
)
def test_an_index_out_of_range(role, index, said):
    assert refusal(with_task(type=role, index=index)) == f"TF_CONFIG: task.index: {said}"


@pytest.mark.parametrize(("layer", "found"), [("grpc+verbs", '"grpc+verbs"'), (None, "null")])
def test_another_rpc_layer(layer, found):
    said = f'TF_CONFIG: rpc_layer: expected "grpc", found {found}; remove it'
    assert refusal({"cluster": JOBS, "task": CHIEF, "rpc_layer": layer}) == said
