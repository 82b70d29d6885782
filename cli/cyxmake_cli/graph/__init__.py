"""Which files of a project need which: read from its includes, asked in several ways."""
