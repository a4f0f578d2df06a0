"""Ports on the loopback interface: the usual one where it is free, else a random free one."""

import socket

LOOPBACK = "127.0.0.1"


def is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As a server would bind: a port in TIME_WAIT counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def random_free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def pick(preferred: int | None, *, taken: frozenset[int] = frozenset()) -> int:
    """The preferred port if it is free, else a random free one; never one of `taken`."""
    if preferred is not None and preferred not in taken and is_free(preferred):
        return preferred
    while (port := random_free_port()) in taken:
        pass
    return port


def is_listening(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), timeout=0.5).close()
    except OSError:
        return False
    return True
