"""The commands of `rap-state`, a file each: `run` does it and returns the exit code."""
