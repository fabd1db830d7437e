"""The counts and the verdict of `make mutants`."""

from __future__ import annotations

import pytest

from tools.mutants import Counts, count, enough, table, verdict

NOTICED, SURVIVED, BY_TYPES, NO_TEST, NOT_YET = 1, 0, 37, 33, None


def test_a_mutant_is_killed_by_types_or_tests_or_has_survived() -> None:
    found = count([NOTICED, NOTICED, SURVIVED, BY_TYPES, NO_TEST, NOT_YET])

    assert found == Counts(mutants=6, by_types=1, by_tests=2, not_yet=1)
    assert (found.survived, found.killed) == (2, 0.5), "of those that the types let pass"


def test_a_mutant_that_times_out_is_killed_and_one_without_a_test_run_is_not() -> None:
    assert count([-24, 255]).by_tests == 2
    assert count([2, 4, -9, 35]).survived == 4


@pytest.mark.parametrize(
    ("found", "will_do"),
    [
        (Counts(mutants=20, by_types=10, by_tests=9), True),
        (Counts(mutants=20, by_types=11, by_tests=8), False),
        (Counts(mutants=20, by_types=10, by_tests=9, not_yet=1), False),
        (Counts(), False),
    ],
)
def test_the_mutation_verdict_requires_nine_in_ten_killed_and_none_untried(found: Counts, will_do: bool) -> None:
    assert enough(found) is will_do


def test_the_mutation_table_has_a_line_per_module_a_total_and_a_verdict() -> None:
    modules = {"rules": Counts(1200, 800, 390), "moves": Counts(100, 50, 50)}

    _, moves, rules, total, last = table(modules)

    assert moves.split() == ["moves", "100", "50", "50", "0", "0", "100.0%"]
    assert rules.split() == ["rules", "1,200", "800", "390", "10", "0", "97.5%"]
    assert total.split() == ["all", "1,300", "850", "440", "10", "0", "97.8%"]
    assert last == verdict(Counts(1300, 850, 440)) == (
        "passed: tests kill 97.8% of the mutants that mypy accepts (required: 90%)"
    )  # fmt: skip
    assert verdict(Counts(1, not_yet=1)) == "1 mutants are untried: run make mutants again to continue"
