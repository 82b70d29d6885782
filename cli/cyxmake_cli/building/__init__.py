"""Building here with the project's own tools: which commands, how they ended, what they made."""
