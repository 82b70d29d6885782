"""A rule of the diagnosis: what the frobnicator says when it fails, and what that means."""

RULES = """
[[rule]]
id = "frobnicate-missing-input"
category = "missing_input"
pattern = "frobnicate: cannot open <file>"
hint = "frobnicate: cannot open"
positive = ["frobnicate: cannot open in.frob"]
negative = ["frobnicate: done"]
expect = { file = "in.frob" }
"""
