#!/bin/sh
# Writes a C file with the version that a file holds.
printf 'const char *greet_version = "%s";\n' "$(cat "$1")"
