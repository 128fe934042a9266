"""The files under deploy/ray are what Ray Serve and KubeRay accept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # has no types of its own
import pytest
import yaml  # type: ignore[import-untyped]  # has no types of its own

from qwell.errors import QwellError

# Ray's own models are declared in a way that pydantic deprecates
pytestmark = pytest.mark.filterwarnings("ignore:Using extra keyword arguments on `Field`")
FOLDER = Path(__file__).parents[2] / "deploy" / "ray"
SCHEMA = json.loads(Path(__file__).with_name("rayservice.schema.json").read_text())


def service() -> dict[str, Any]:
    """As JSON, where nothing is shared between places."""
    read = yaml.safe_load((FOLDER / "rayservice.yaml").read_text())
    return dict(json.loads(json.dumps(read)))


def serve_configs() -> list[dict[str, Any]]:
    alone = yaml.safe_load((FOLDER / "serve.yaml").read_text())
    return [alone, yaml.safe_load(service()["spec"]["serveConfigV2"])]


@pytest.mark.parametrize("config", serve_configs(), ids=["serve", "rayservice"])
def test_ray_serve_accepts_the_configuration(config: dict[str, Any]) -> None:
    from ray.serve.schema import ServeDeploySchema

    from qwell.cluster.application import application

    (app,) = ServeDeploySchema.model_validate(config).applications
    assert app.import_path == "qwell.cluster.application:application"
    assert application(app.args)


def refusals(manifest: dict[str, Any]) -> list[str]:
    found = jsonschema.Draft202012Validator(SCHEMA).iter_errors(manifest)
    return [f"{error.json_path}: {error.message}" for error in found]


def test_kuberay_accepts_the_service() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert refusals(service()) == []


def objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value:
        if isinstance(inner, dict | list):
            yield from objects(inner)


def is_of_free_names(thing: dict[str, Any]) -> bool:
    """Arguments of `ray start` and resources have whatever names they have."""
    return not thing or bool(thing.keys() & {"num-cpus", "cpu"})


def test_a_field_that_kuberay_does_not_know_is_refused_wherever_it_stands() -> None:
    """The API server drops what it does not know, without a word: a slip would take no effect."""
    n_seen = 0
    for number in range(sum(1 for _ in objects(service()))):
        manifest = service()
        place = list(objects(manifest))[number]
        if not is_of_free_names(place):
            place["imagePullPolizy"] = "Always"
            assert any("imagePullPolizy" in refusal for refusal in refusals(manifest)), place
            n_seen += 1
    assert n_seen > 20


HEAD = "spec.rayClusterConfig.headGroupSpec"
WORKERS = "spec.rayClusterConfig.workerGroupSpecs.0"


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        ("apiVersion", "ray.io/v1alpha1"),
        ("kind", "RayCluster"),
        ("metadata.name", "Qwell_1"),
        ("spec.serveConfigV2", {"applications": []}),
        ("spec.rayClusterConfig.rayVersion", 2.6),
        ("spec.rayClusterConfig.enableInTreeAutoscaling", "true"),
        (f"{HEAD}.rayStartParams.num-cpus", 1),
        (f"{HEAD}.template.spec.containers", []),
        (f"{HEAD}.template.spec.containers.0.ports.0.name", "Head Port"),
        (f"{HEAD}.template.spec.containers.0.env.0.value", 0),
        (f"{WORKERS}.minReplicas", "2"),
        (f"{WORKERS}.maxReplicas", None),
        (f"{WORKERS}.template.spec.containers.0.resources.limits.cpu", "2 cores"),
        (f"{WORKERS}.template.spec.volumes.0.hostPath.type", "directory"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused(path: str, wrong: Any) -> None:
    manifest: Any = service()
    *way, last = [int(name) if name.isdigit() else name for name in path.split(".")]
    place = manifest
    for step in way:
        place = place[step]
    assert last in place
    place[last] = wrong
    (refusal,) = refusals(manifest)
    assert str(last) in refusal


@pytest.mark.parametrize("name", SCHEMA["$defs"]["workers"]["required"])
def test_what_a_group_of_workers_needs_is_missed(name: str) -> None:
    manifest = service()
    del manifest["spec"]["rayClusterConfig"]["workerGroupSpecs"][0][name]
    assert any(repr(name) in refusal for refusal in refusals(manifest))


def test_every_engine_finds_room_on_a_worker_and_none_on_the_head() -> None:
    from qwell.cluster.application import Size

    cluster = service()["spec"]["rayClusterConfig"]
    engine_cpus = Size().engine_cpus
    assert float(cluster["headGroupSpec"]["rayStartParams"]["num-cpus"]) < engine_cpus
    for group in cluster["workerGroupSpecs"]:
        (container,) = group["template"]["spec"]["containers"]
        assert float(container["resources"]["limits"]["cpu"]) >= engine_cpus
        (mount,) = container["volumeMounts"]
        assert (mount["mountPath"], mount["readOnly"]) == ("/app/model", True)


def test_nothing_calls_home() -> None:
    cluster = service()["spec"]["rayClusterConfig"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    for group in groups:
        (container,) = group["template"]["spec"]["containers"]
        assert {"name": "RAY_USAGE_STATS_ENABLED", "value": "0"} in container["env"]


def test_an_unknown_argument_is_named() -> None:
    from qwell.cluster.application import application

    with pytest.raises(QwellError, match="enginees"):
        application({"enginees": 3})
