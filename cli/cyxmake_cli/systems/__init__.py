"""Build systems as data: how each is recognised, what it is told to do, what it leaves behind."""
