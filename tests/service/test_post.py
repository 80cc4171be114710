"""What is lent to a socket is not called free before every part of it is."""

import pytest
import zmq

from backend.service.post import Post, Sent
from tests.service.serving import until

LARGE, SMALL = 100_000, 10  # one is sent where it lies, the other is copied


@pytest.mark.parametrize("sizes", [(LARGE, SMALL), (SMALL, LARGE), (LARGE, LARGE)])
def test_24_memory_is_lent_until_the_last_large_part_is_taken_wherever_it_stands(sizes):
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router, context.socket(zmq.DEALER) as peer:
        router.bind("inproc://post")
        peer.set(zmq.ROUTING_ID, b"peer")
        peer.connect("inproc://post")
        peer.send(b"here")
        router.recv_multipart()
        parts = [memoryview(bytearray(size)) for size in sizes]
        sent, tracker = Post(router).send_parts(b"peer", parts, track=True)
        assert sent is Sent.YES and not tracker.done
        peer.recv_multipart()
        until(lambda: tracker.done)
