"""Ninja build files, logs, dirtiness and planning: what is needed to stand in for `ninja`.

Knows nothing of processes and clusters; `session.BuildGraph` is the door for drivers.
"""
