"""Reads why a tool failed: output text in, typed diagnoses out.

Knows nothing of fixes, packages or machines; does no IO beyond reading its own rules once.
"""
