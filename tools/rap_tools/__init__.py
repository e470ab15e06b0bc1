"""Tools around the store: the command rap-state and what it needs. Nothing in the core imports this package."""
