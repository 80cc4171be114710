"""Credit that travels with the next request (`RenderLive.consumed`, since 1.3), and peers that do not know it."""

import json
from dataclasses import replace

import pytest

from shared.wire import calls, limits
from shared.wire import messages as m
from shared.wire.client import Client
from shared.wire.codec import Envelope, decode, encode
from shared.wire.errors import WireError
from tests.service.serving import motion, render_live
from tests.shared.wire.small_server import SmallServer

REQUEST = render_live(calls.new_id())


def of_1_2(parts):
    """A request as a client of 1.2 writes it."""
    magic, header, *buffers = parts
    header = json.loads(header)
    del header["body"]["consumed"]
    return [magic, json.dumps(header).encode(), *buffers]


class ServerOf(SmallServer):
    """One that speaks this minor version."""

    def __init__(self, minor):
        super().__init__(lambda envelope: None)
        self.minor = minor

    def _reply(self, one, peer, envelope):
        reply = super()._reply(one, peer, envelope)
        return replace(reply, minor=self.minor) if isinstance(reply, m.Welcome) else reply


@pytest.mark.parametrize("consumed", [0, 2])
@pytest.mark.parametrize("minor", [2, 3])
def test_credit_travels_with_the_request_to_a_server_that_knows_this_and_else_before_it(minor, consumed):
    with ServerOf(minor) as server, Client(server.connection()) as client:
        client.call(m.Ping())
        calls.ask_live(client, REQUEST, motion(), consumed)
        client.call(m.Ping())
    told = [one.message for one in server.seen if isinstance(one.message, (m.RenderCredit, m.RenderLive))]
    if minor < 3:
        assert told == [m.RenderCredit(2)] * bool(consumed) + [REQUEST]
    else:
        assert told == [replace(REQUEST, consumed=consumed)]


def test_the_request_of_a_client_of_1_2_tells_no_credit():
    assert decode(of_1_2(encode(Envelope(replace(REQUEST, consumed=5), motion())))).message == REQUEST


@pytest.mark.parametrize("consumed", [-1, limits.CREDIT + 1])
def test_nobody_consumes_more_than_can_be_under_way(consumed):
    most = replace(REQUEST, consumed=limits.CREDIT)
    assert decode(encode(Envelope(most, motion()))).message == most
    with pytest.raises(WireError) as raised:
        decode(encode(Envelope(replace(REQUEST, consumed=consumed), motion())))
    assert (raised.value.code, raised.value.field) == ("out_of_range", "consumed")
