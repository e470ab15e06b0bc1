"""The journal engine: frames, segments, checkpoints and their recovery. It knows bytes and never meaning.

Nothing is gathered here: what is needed is imported from the module that has it, in the reading order of the README.
"""
