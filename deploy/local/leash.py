"""Becomes the program it is told to run, tied to the life of the process that started it.

Run by path as `leash.py PARENT SIGNAL UID GID -- program arguments…`, before anything else of ours
is imported. On Linux the kernel sends SIGNAL when the parent dies, by kill -9 as well; elsewhere
`deploy.local.processes` ends what was left at the next start. Credentials are dropped first: a
change of credentials would clear the tie.
"""

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    parent, signal_number, uid, gid = (int(argument) for argument in arguments[:4])
    program = arguments[arguments.index("--") + 1 :]
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the process that started this one is gone")
    os.execv(program[0], program)  # noqa: S606 -- what it is for


if __name__ == "__main__":
    main(sys.argv[1:])
