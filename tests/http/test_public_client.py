"""The store without botocore's private method: the same tests, sent through the client's public methods.

A session returns clients on which only public names exist, as a later botocore might offer them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest
from moto import mock_aws

from tests.conftest import new_table
from tests.http.test_batches import *  # noqa: F403
from tests.http.test_claiming import *  # noqa: F403
from tests.http.test_expiry import *  # noqa: F403
from tests.http.test_imports import *  # noqa: F403
from tests.support.audit import assert_sound
from tests.support.world import HOUR, World

pytestmark = pytest.mark.moto


class PublicClient:
    """A client of botocore without its private names. `used` holds the operations that were called by their names."""

    def __init__(self, client: Any) -> None:
        self.whole, self.used = client, set[str]()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        self.used.add(name)
        return getattr(self.whole, name)


class PublicSession:
    def __init__(self) -> None:
        self.session = botocore.session.get_session()

    def get_credentials(self) -> Any:
        return self.session.get_credentials()

    def create_client(self, *arguments: Any, **settings: Any) -> PublicClient:
        return PublicClient(self.session.create_client(*arguments, **settings))


session = PublicSession()  # one for all tests: it has read the description of DynamoDB


@pytest.fixture
def world() -> Iterator[World]:
    with mock_aws():
        table = new_table(None, session=session)
        made = World(table)
        yield made
        assert_sound(table, statistics=not made.forged)


@pytest.fixture
def memory_world(world: World) -> World:
    return world


def test_each_request_goes_through_the_public_method_of_its_operation(world: World) -> None:
    client: Any = world.table.connection.client
    world.pool(claim_ttl="PT1H", customers=2)

    world.alice.claim("c1")
    world.alice.claim_next()
    world.clock.forward(HOUR)
    world.sweep()

    assert not hasattr(client, "_make_request")
    assert {"transact_write_items", "batch_get_item", "query"} <= client.used
    assert world.mona.events("c1") == ["imported", "claimed", "expired"]
