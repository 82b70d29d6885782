"""One file per command; the only place where the wings of the client meet."""
