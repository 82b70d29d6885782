"""Which files a compile reads: scanner, closure, depfiles and the paths that must stay absent."""
