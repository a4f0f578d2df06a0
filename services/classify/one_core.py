"""Arithmetic on one core: what numpy's linear algebra would do by itself costs twice the CPU.

OpenBLAS starts a thread for every core that it sees, of the whole node in a container with a share of
one, and they wait for each other by spinning: with two, a notification cost 1.5 ms of CPU instead of
0.6. Replicas use the other cores (docs/decisions/0158).
"""

from __future__ import annotations

from threadpoolctl import threadpool_limits


def on_one_core() -> None:
    """From now on, for the whole process."""
    threadpool_limits(limits=1, user_api="blas")
