"""Planners: from the edges of a build to the actions that a cluster is asked for. Pure."""
