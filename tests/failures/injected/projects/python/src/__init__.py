"""Counts things."""
