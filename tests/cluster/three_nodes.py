"""A Ray cluster of a head and two nodes in this process's children, for service.py.

`python three_nodes.py PORT ENGINE`: prints "ready" when the service answers, then obeys a line at
a time (kill, grow, upgrade) and prints "done" after each; ends with its standard input.
"""

from __future__ import annotations

import os
import sys
from typing import Any

os.environ |= {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # nodes at 127.0.0.1, not at this machine's address
    # a proxy that is slow to start on a busy machine would be killed and not started again in time
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",
    "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": "60",
}
import ray
from ray import serve
from ray.cluster_utils import Cluster

from qwell.cluster.application import application

HOST = "127.0.0.1"
# room for one engine, and for a front beside the one that it replaces
NODE: dict[str, Any] = {"num_cpus": 3, "object_store_memory": 80 * 2**20}


def main(port: int, engine: str) -> None:
    head = {**NODE, "num_cpus": 0, "include_dashboard": False}  # has no room for either
    cluster = Cluster(initialize_head=True, head_node_args=head)
    nodes = [cluster.add_node(**NODE) for _ in range(2)]
    ray.init(address=cluster.address, namespace="qwell", log_to_driver=False)
    try:
        serve.start(proxy_location="HeadOnly", http_options={"host": HOST, "port": port})
        deploy(engine, version=1)
        print("ready", flush=True)
        for line in sys.stdin:
            obey(line.strip(), cluster, nodes, engine)
            print("done", flush=True)
    finally:
        ends: list[Any] = [serve.shutdown, ray.shutdown, cluster.shutdown]
        for end in ends:
            end()


def obey(order: str, cluster: Cluster, nodes: list[Any], engine: str) -> None:
    if order == "kill":
        cluster.remove_node(nodes.pop(0), allow_graceful=False)
    elif order == "grow":
        nodes.append(cluster.add_node(**NODE))
    elif order == "upgrade":
        deploy(engine, version=2)


def deploy(engine: str, *, version: int) -> None:
    """A change of settings is a new version of fronts and engines."""
    arguments = {
        "engines": 2,
        "min_engines": 2,
        "fronts": 2,
        "engine": engine,
        "parallel": 8,
        "max_tokens": 1000 + version,
    }
    serve.run(application(arguments), name="qwell", route_prefix="/")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
