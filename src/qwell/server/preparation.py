"""What a first message would wait for is done beforehand, once the model has been loaded.

Whoever asks for a conversation earlier has the store opened at once. Knows no HTTP.
"""

from __future__ import annotations

import asyncio
import time

from qwell.server import offering
from qwell.server.worker_protocol import Worker
from qwell.store import StoreKeeper

LONGEST_LOADING_S = 5.0  # what takes longer is a download or a packing, which may take minutes
FIRST_ANSWER_S = 1.0  # whoever waits for the model asks as soon as it is there
_LOOK_S = 0.1


async def prepare(worker: Worker, keeper: StoreKeeper) -> None:
    """Open the store and read the rules of complaints, half a second of a core in all."""
    latest = time.monotonic() + LONGEST_LOADING_S
    while _is_loading(worker) and time.monotonic() < latest:  # noqa: ASYNC110  not all tell changes
        await asyncio.sleep(_LOOK_S)
    await asyncio.sleep(FIRST_ANSWER_S)
    keeper.start()
    await asyncio.to_thread(offering.prepare)


def _is_loading(worker: Worker) -> bool:
    return worker.status.phase in ("starting", "loading")
