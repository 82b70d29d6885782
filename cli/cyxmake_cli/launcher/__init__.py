"""The compiler launcher: compiles of Make, autotools, SCons and their like, on the cluster.

A stub stands in for the compiler and asks a resident agent over a local socket; whatever is not
surely a plain compile, and whatever goes wrong, ends with the stub becoming the real compiler.
"""
