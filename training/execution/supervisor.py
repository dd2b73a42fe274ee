"""Script of the supervisor: `python -I -S supervisor.py CONTROL_DIR`. Its own file is small because scripts are
compiled at every start, imported modules only once."""

import os
import sys

if __name__ == "__main__":
    # -I keeps the caller's environment and directory out of the path; the packages on this one have empty __init__s.
    sys.path.insert(0, __file__.rsplit("/", 3)[0])
    from training.execution.supervision.loop import main

    # All is written: to take the interpreter apart would only cost time.
    os._exit(main(sys.argv[1]))
