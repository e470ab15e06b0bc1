"""The version of this code: it stands in events, so that a history says which code decided.

Example::

    PolicyInForce(digest, __version__, settings, None)
"""

__version__ = "0.1.0"
