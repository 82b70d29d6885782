"""Programs of this machine: which there are, which version, what they can; and how to get more."""
