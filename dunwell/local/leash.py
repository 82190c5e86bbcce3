"""Replaces itself by a command that the kernel ends when the process which started it is gone, however it went.

Called as `python -I -S leash.py SIGNAL PARENT_PID COMMAND...`; a program of its own, because preexec_fn may deadlock in a
parent with threads. Where the kernel has no such thing (not Linux), the command runs without a leash.
"""

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def main() -> None:
    signal_number, parent, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    if sys.platform == "linux":
        if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal_number, 0, 0, 0) != 0:
            sys.exit(f"leash: prctl failed: {os.strerror(ctypes.get_errno())}")
        # The parent may have died before the kernel was told to watch it.
        if os.getppid() != parent:
            sys.exit("leash: the parent is gone already")
    try:
        os.execvp(command[0], command)  # noqa: S606  # a fixed list, no shell
    except OSError as error:
        sys.exit(f"cannot start {command[0]}: {error.strerror}")


if __name__ == "__main__":
    main()
