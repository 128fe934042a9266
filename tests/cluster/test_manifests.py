"""The files under deploy/ray are what Ray Serve and KubeRay accept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # has no types of its own

from qwell.errors import QwellError

# Ray's own models are declared in a way that pydantic deprecates
pytestmark = pytest.mark.filterwarnings("ignore:Using extra keyword arguments on `Field`")
FOLDER = Path(__file__).parents[2] / "deploy" / "ray"


def service() -> dict[str, Any]:
    manifest: dict[str, Any] = yaml.safe_load((FOLDER / "rayservice.yaml").read_text())
    return manifest


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
