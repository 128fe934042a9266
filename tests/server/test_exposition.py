"""What is exposed reads back with the official parser, whatever the labels hold."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from qwell.server.exposition import Counter, Gauge, Histogram, render


def parsed(*metrics: Any) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(render(metrics))
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


@given(
    st.text(
        st.characters(
            exclude_categories=["Cs"], exclude_characters="\r\x85\u2028\u2029\x0b\x0c\x1c\x1d\x1e"
        )
    )
)
def test_any_label_survives(label: str) -> None:
    counter = Counter("seen_total", "things seen", ("what",))
    counter.add(label)
    counter.add(label, by=2.5)
    assert parsed(counter) == {("seen_total", (("what", label),)): 3.5}


@given(st.lists(st.floats(0, 1000)))
def test_buckets_count_what_is_at_most_their_bound(values: list[float]) -> None:
    histogram = Histogram("took_seconds", "time", (0.5, 10.0))
    for value in values:
        histogram.observe(value)
    read = parsed(histogram)
    for bound, shown in ((0.5, "0.5"), (10.0, "10"), (float("inf"), "+Inf")):
        n_below = sum(value <= bound for value in values)
        assert read[("took_seconds_bucket", (("le", shown),))] == n_below
    assert read[("took_seconds_count", ())] == len(values)
    assert read[("took_seconds_sum", ())] == pytest.approx(sum(values))


def test_a_gauge_is_read_when_it_is_asked_for() -> None:
    levels = {("hot",): 1.0}
    gauge = Gauge("level", "how much", lambda: levels, ("of",))
    levels["cold",] = 2.0
    assert parsed(gauge) == {("level", (("of", "hot"),)): 1.0, ("level", (("of", "cold"),)): 2.0}
