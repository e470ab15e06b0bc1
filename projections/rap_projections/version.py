"""The version of this code: it stands in events, so that a history says which code decided.

Example::

    PolicyInForce(digest, VERSION, settings, None)
"""

VERSION = "0.1.0"
