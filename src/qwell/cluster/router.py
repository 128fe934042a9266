"""Ray Serve's choice of an engine: the one that a conversation belongs to, else its neighbour.

The key, or an engine's name, comes with each call as a keyword; affinity.py makes the order.
"""

from __future__ import annotations

from ray.serve.request_router import PendingRequest, RequestRouter, RunningReplica

from qwell.cluster.affinity import preferred


class AffinityRouter(RequestRouter):
    """An engine that is full refuses, and the next of the order is asked."""

    async def choose_replicas(
        self,
        candidate_replicas: list[RunningReplica],
        pending_request: PendingRequest | None = None,
    ) -> list[list[RunningReplica]]:
        by_name = {replica.replica_id.unique_id: replica for replica in candidate_replicas}
        asked = pending_request.kwargs if pending_request is not None else {}
        if (named := asked.get("engine")) is not None:
            return [[by_name[named]]] if named in by_name else [candidate_replicas]
        return [[by_name[name]] for name in preferred(asked.get("key", ""), by_name)]
