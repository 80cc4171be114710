"""What ZeroMQ does with messages when one side goes."""

import zmq
from zmq.utils.monitor import recv_monitor_message

from shared.wire.connection import Connection
from shared.wire.sockets import CONTROL, client_socket, connect, server_socket


def test_what_the_server_said_before_it_went_can_still_be_read():
    context = zmq.Context()
    try:
        server = server_socket(context, CONTROL)
        port = server.bind_to_random_port("tcp://127.0.0.1")
        client = client_socket(context, CONTROL, Connection("127.0.0.1", port, port))
        monitor = client.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        connect(client, CONTROL, Connection("127.0.0.1", port, port))
        client.send(b"stop")
        peer, _ = server.recv_multipart()
        server.send_multipart([peer, b"going down"])
        server.close()
        assert recv_monitor_message(monitor)["event"] == zmq.EVENT_DISCONNECTED
        assert client.poll(1000) and client.recv(zmq.NOBLOCK) == b"going down"
    finally:
        context.destroy(linger=0)
