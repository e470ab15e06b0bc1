"""The providers of key-encryption keys, a file each. Callers import them from `rap_projections.keys`."""
