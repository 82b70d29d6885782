"""What other packages bring: tools, rules, providers, hooks and commands, by entry points."""
