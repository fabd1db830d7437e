"""Races of the job that follows a change of field definitions: against writers of the values, and against itself.

The round that ends the job also writes search rows. What is written after that has its rows from the stream, which no
race runs. So where a request can come between both, the table equals no serial order, and a check of its own decides.
"""

from __future__ import annotations

from typing import Any

from tests.proofs.operations import FIELDS, redefined
from tests.proofs.race_runner import Race, race, request_by, run_sweep
from tests.proofs.races_of_unique_values import create, edit, importing
from tests.support.world import World

C1 = "/v1/pools/p/customers/c1"


def one_has_it_or_the_field_is_off(world: World, results: list[Any]) -> None:
    """A minute later, after the second pass if the field was turned off."""
    world.finish_field_changes()
    pool = world.mona.get().json
    created = [each.status == 201 for each in results if hasattr(each, "status")]
    assert pool["fields_ready"] is True
    assert pool["fields"][1]["unique"] is not any(created)
    assert ("fields_problem" in pool) is any(created)


def the_fields_become_ready(world: World, results: list[Any]) -> None:
    """Each request is answered by 200, and the job ends. The table is audited after the race."""
    assert all(each.status == 200 for each in results if hasattr(each, "status"))
    world.finish_field_changes()
    assert world.mona.get().json["fields_ready"] is True


@race
def a_job_and_a_new_customer_with_an_equal_unique_value(world: World) -> Race:
    redefined(world)
    return Race([run_sweep, create("c8", "1")], one_has_it_or_the_field_is_off, serial=False)


@race
def a_job_and_two_new_customers_with_one_unique_value(world: World) -> Race:
    redefined(world)
    return Race([run_sweep, create("c8", "9"), create("c9", "9")])


@race
def a_job_and_an_edit_that_releases_a_unique_value_and_one_that_takes_it(world: World) -> Race:
    redefined(world)
    return Race([run_sweep, edit("c1", None), create("c8", "1")])


@race
def a_job_and_an_edit_of_another_field_and_a_claim(world: World) -> Race:
    redefined(world)
    other = request_by("mona", "PATCH", C1, {"fields": {"city": "y", "mobile": "13912345678"}})
    requests = [run_sweep, other, lambda w: w.bob.claim("c3")]
    return Race(requests, the_fields_become_ready, cached=("c1", "c3"), serial=False)


@race
def a_job_and_an_import_of_a_stored_customer(world: World) -> Race:
    redefined(world)
    request = importing("id", id="c1", fields={"tax_id": "2", "city": "y"})
    return Race([run_sweep, request], the_fields_become_ready, serial=False)


@race
def a_job_and_an_erasure_that_suppresses(world: World) -> Race:
    redefined(world)
    body = {"reason": "requested", "force": True, "suppress": True}
    return Race([run_sweep, request_by("mona", "POST", f"{C1}/erase", body)])


@race
def two_jobs_at_once(world: World) -> Race:
    redefined(world)
    return Race([run_sweep, run_sweep])


@race
def a_job_and_another_change_of_the_fields(world: World) -> Race:
    redefined(world)
    fields = [FIELDS[0] | {"list": True}, FIELDS[1] | {"unique": False}]
    again = request_by("mona", "PATCH", "/v1/pools/p", {"fields": fields}, if_match="2")

    def check(world: World, results: list[Any]) -> None:
        world.finish_field_changes()
        assert world.mona.get().json["fields_ready"] is True
        assert world.mona.create("c9", fields={"tax_id": "1"}).status == 201

    return Race([run_sweep, again], check, serial=False)
