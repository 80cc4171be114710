"""Clients and servers that end with the test."""

import pytest

from shared.mock import MockServer
from shared.wire.client import Client
from shared.wire.connection import Connection


@pytest.fixture
def quiet_client():
    """A client whose server never existed."""
    with Client(Connection("127.0.0.1", 9, 9)) as client:  # nobody listens on the discard port
        yield client


@pytest.fixture
def mock(tmp_path):
    """A fast mock server."""
    server = MockServer(tmp_path / "data", pace=0.02)
    server.start()
    yield server
    server.stop()
