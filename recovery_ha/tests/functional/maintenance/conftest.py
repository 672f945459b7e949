"""A site with sessions."""

from collections.abc import Iterator

import pytest

from recovery_ha.tests.fixtures.sessions import Sessions


@pytest.fixture
def sessions(site) -> Iterator[Sessions]:
    """The sessions of a site; nobody replies yet."""
    made = Sessions(site)
    yield made
    made.close()
