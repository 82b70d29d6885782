"""Failed actions, kept whole: what is needed to run each of them again exactly as it was."""
