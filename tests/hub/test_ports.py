import socket

import pytest

from hub_config.starting.ports import SeatPorts


def test_a_number_given_a_moment_ago_is_given_again_last():
    ports = SeatPorts()
    given = [ports.next_free() for _ in range(200)]
    assert len(set(given)) == 200


def test_a_number_that_is_taken_is_left_out():
    ports = SeatPorts()
    first = ports.next_free()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", first + 1))
        assert first + 1 not in {ports.next_free() for _ in range(50)}


def test_they_lie_below_those_that_the_system_gives_to_whoever_connects():
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as one,
    ):
        assert SeatPorts().next_free() < min(one.getsockname()[1], server.getsockname()[1])


def test_where_none_is_free_it_says_so():
    ports = SeatPorts(end=1_025)  # one number alone
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 1_024))
        with pytest.raises(OSError, match="no port is free"):
            ports.next_free()
