"""The compiler: its command line as a model, who it is, and its files as a tree."""
