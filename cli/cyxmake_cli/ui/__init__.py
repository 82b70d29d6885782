"""What a person sees: progress while the build runs, a summary at its end."""
