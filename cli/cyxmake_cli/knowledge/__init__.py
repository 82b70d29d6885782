"""Names as compilers and build systems say them, and the packages that have them."""
