"""A conversation: slash commands and plain English, over the same commands as the command line."""
