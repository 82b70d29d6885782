"""Packages that a build needs, unpacked into directories of the user's instead of installed."""
