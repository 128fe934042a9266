"""Hostile templates end soon, small and outside of Python."""

from __future__ import annotations

import pytest
from jinja2.exceptions import SecurityError

from qwell.text.sandbox import BoundedEnvironment, LimitExceeded, Refusal


def rendered(source: str, **data: object) -> str:
    environment = BoundedEnvironment()
    return environment.render(environment.compiled(source), data)


def doubled(step: str) -> str:
    return "{% set n = namespace(x='a') %}{% for i in range(99) %}" + step + "{% endfor %}"


@pytest.mark.parametrize(
    "source",
    [
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "{% macro f(n) %}{% if n %}{{ f(n-1) ~ f(n-1) }}{% endif %}{% endmacro %}{{ f(50) }}",
        "{% for i in range(99999) %}{{ range(99999) | map('string') | list | length }}{% endfor %}",
    ],
)
def test_endless_work_ends(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qwell.text.sandbox.MAX_STEPS", 10_000)
    with pytest.raises(LimitExceeded):
        rendered(source)


@pytest.mark.parametrize(
    "source",
    [
        doubled("{% set n.x = n.x + n.x %}"),
        doubled("{% set n.x = n.x ~ n.x %}"),
        doubled("{% set n.x %}{{ n.x }}{{ n.x }}{% endset %}"),
        "{% for i in range(9999) %}{{ 'x' * 9999 }}{% endfor %}",
        "{{ 'a' * 10 ** 10 }}",
        "{{ 10 ** 10 * 'a' }}",
        "{{ [0] * 10 ** 9 }}",
        "{{ (10 ** 10) ** (10 ** 10) }}",
        "{{ 'a' | center(10 ** 9) }}",
        "{{ 'a'.ljust(1000000000) }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ '%*d' % (1000000000, 1) }}",
        "{{ '%1000000000d' | format(1) }}",
        "{{ '{:>1000000000}'.format(1) }}",
        "{{ ('a' * 1000000) | replace('a', 'b' * 1000000) }}",
        "{{ ('a' * 1000000).replace('a', 'b' * 1000000) }}",
        "{{ range(99999) | join('b' * 1000000) }}",
        "{{ ('b' * 1000000).join(['a'] * 99999) }}",
    ],
)
def test_nothing_grows_without_end(source: str) -> None:
    with pytest.raises(LimitExceeded):
        rendered(source)


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ messages.append(1) }}",
        "{{ messages.__init__.__globals__ }}",
        "{{ raise_exception.__globals__.keys() }}",
        "{{ self._TemplateReference__context.environment }}",
    ],
)
def test_python_is_out_of_reach(source: str) -> None:
    with pytest.raises(SecurityError):
        rendered(source, messages=[])


def test_hidden_attributes_print_nothing() -> None:
    assert rendered("{{ '{0.__class__}'.format('') }}{{ raise_exception.__globals__ }}") == ""


def test_steps_are_counted_for_each_rendering(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qwell.text.sandbox.MAX_STEPS", 100)
    environment = BoundedEnvironment()
    template = environment.compiled("{% for i in range(60) %}{% endfor %}done")
    assert [environment.render(template, {}) for _ in range(3)] == ["done"] * 3


def test_what_transformers_offers_is_there() -> None:
    assert rendered("{{ x | tojson }}", x={"b": "é<&", "a": 1}) == '{"b": "é<&", "a": 1}'
    assert rendered("{{ [1] | tojson(indent=1) }}") == "[\n 1\n]"
    assert rendered("{% for i in [1, 2] %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}")
    assert rendered("{% generation %}text{% endgeneration %}") == "text"
    assert rendered("{{ strftime_now('%Y') }}").isdecimal()
    assert rendered("  {% if true %}\nx\n  {% endif %}\n") == "x\n"
    with pytest.raises(Refusal, match="no"):
        rendered("{{ raise_exception('no') }}")


def test_metered_operations_keep_their_meaning() -> None:
    source = "{{ 'a' + 'b' ~ 3 ~ none ~ ('%03d' % 7) ~ 2 ** 3 ~ 'ab' * 2 ~ 7 % 4 ~ 1.5 * 2 }}"
    assert rendered(source) == "ab3None0078abab33.0"
    assert rendered("{{ 'a-b' | replace('-', '+') | upper }}") == "A+B"
    assert rendered("{{ [1, 2] | join(', ') }} {{ '{}!'.format('x') }}") == "1, 2 x!"
    assert rendered("{{ [1] + [2] }}{{ -1 * 'a' }}") == "[1, 2]"
