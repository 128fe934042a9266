"""Slots follow memory; too little of it is refused with numbers."""

from pathlib import Path

import pytest

from qwell.backends.memory import (
    MAX_SLOTS,
    RESERVE_BYTES,
    available_bytes,
    default_slots,
    kv_bytes,
    require_slots,
)
from qwell.errors import QwellError

MIB = 2**20
QWEN_HALF_B = {
    "num_hidden_layers": 24,
    "num_attention_heads": 14,
    "num_key_value_heads": 2,
    "hidden_size": 896,
}


def test_bytes_of_a_slot() -> None:
    assert kv_bytes(QWEN_HALF_B, 4096) == 48 * MIB


@pytest.mark.parametrize(("spare_mib", "slots"), [(50, 1), (250, 2), (500, 5), (10**6, MAX_SLOTS)])
def test_half_of_what_is_left_goes_to_slots(spare_mib: int, slots: int) -> None:
    available = 500 * MIB + RESERVE_BYTES + spare_mib * MIB
    assert default_slots(500 * MIB, 50 * MIB, available) == slots


def test_too_little_memory_is_refused_with_numbers() -> None:
    with pytest.raises(QwellError, match=r"600 MiB.*806 MiB") as caught:
        default_slots(500 * MIB, 50 * MIB, 600 * MIB)
    assert caught.value.fault == "insufficient-ram"


def test_more_slots_than_fit_are_refused_with_how_many_do() -> None:
    available = 500 * MIB + RESERVE_BYTES + 170 * MIB
    assert require_slots(3, 500 * MIB, 50 * MIB, available) == 3
    with pytest.raises(QwellError, match=r"room for 3 conversations of 50 MiB.*--parallel 3"):
        require_slots(4, 500 * MIB, 50 * MIB, available)


def test_the_tighter_of_machine_and_group_counts(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal: 9 kB\nMemAvailable:  4096 kB\n")
    assert available_bytes(tmp_path) == 4096 * 1024
    (tmp_path / "sys/fs/cgroup").mkdir(parents=True)
    (tmp_path / "sys/fs/cgroup/memory.max").write_text("3000000")
    (tmp_path / "sys/fs/cgroup/memory.current").write_text("1000000")
    assert available_bytes(tmp_path) == 2_000_000
