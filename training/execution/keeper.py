"""Script of a terminal's keeper: `python -I -S keeper.py CONTROL TTY RUN`, the first two numbers of open files.

Its own file is small because scripts are compiled at every start, imported modules only once.
"""

import sys

if __name__ == "__main__":
    # -I keeps the caller's environment and directory out of the path; the packages on this one have empty __init__s.
    sys.path.insert(0, __file__.rsplit("/", 3)[0])
    from training.execution.supervision.terminal import main

    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
