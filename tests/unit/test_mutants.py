"""What `make mutants` makes of what it found: the figures, and whether they will do."""

from __future__ import annotations

import pytest

from tools.mutants import Found, counted, enough, table, verdict

NOTICED, SURVIVED, BY_TYPES, NO_TEST, NOT_YET = 1, 0, 37, 33, None


def test_a_mutant_is_killed_by_types_or_tests_or_has_survived() -> None:
    found = counted([NOTICED, NOTICED, SURVIVED, BY_TYPES, NO_TEST, NOT_YET])

    assert found == Found(mutants=6, by_types=1, by_tests=2, not_yet=1)
    assert (found.survived, found.killed) == (2, 0.5), "of those that the types let pass"


def test_a_mutant_that_times_out_is_killed_and_one_without_a_test_run_is_not() -> None:
    assert counted([-24, 255]).by_tests == 2
    assert counted([2, 4, -9, 35]).survived == 4


@pytest.mark.parametrize(
    ("found", "will_do"),
    [
        (Found(mutants=20, by_types=10, by_tests=9), True),
        (Found(mutants=20, by_types=11, by_tests=8), False),
        (Found(mutants=20, by_types=10, by_tests=9, not_yet=1), False),
        (Found(), False),
    ],
)
def test_the_mutation_verdict_requires_nine_in_ten_killed_and_none_untried(found: Found, will_do: bool) -> None:
    assert enough(found) is will_do


def test_the_mutation_table_has_a_line_per_module_a_total_and_a_verdict() -> None:
    modules = {"rules": Found(1200, 800, 390), "moves": Found(100, 50, 50)}

    _, moves, rules, total, said = table(modules)

    assert moves.split() == ["moves", "100", "50", "50", "0", "0", "100.0%"]
    assert rules.split() == ["rules", "1,200", "800", "390", "10", "0", "97.5%"]
    assert total.split() == ["all", "1,300", "850", "440", "10", "0", "97.8%"]
    assert said == verdict(Found(1300, 850, 440)) == (
        "97.8% of what the types let pass is noticed by a test, 90% shall be: that is enough"
    )  # fmt: skip
    assert verdict(Found(1, not_yet=1)) == "1 have not been tried yet: make mutants goes on with them"
