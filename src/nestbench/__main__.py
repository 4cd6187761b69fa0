"""``python -m nestbench``: the command ``nestbench``, which imports nothing from the folder that it is typed in.

``python -m`` puts that folder before what is installed: in the source tree of a package that isn't built in place, say
statsmodels', no fit could be made.
"""

import os
import sys

if __name__ == "__main__":
    if not sys.flags.safe_path and sys.path[:1] == [os.getcwd()]:
        del sys.path[0]

    from nestbench.cli import main

    main()
