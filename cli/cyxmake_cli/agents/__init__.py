"""Agents: small programs that build, repair and look around in one project, side by side."""
