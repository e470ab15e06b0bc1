"""`python -m rap_tools`: the command `rap-state` where its script is not on the path.

Example::

    python -m rap_tools status -D /var/lib/rap-node-agent
"""

import sys

from rap_tools.main import main

if __name__ == "__main__":
    sys.exit(main())
