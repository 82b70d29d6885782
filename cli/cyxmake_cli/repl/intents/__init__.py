"""Plain English to commands, by rules alone: no clock, no file, no network, no guess by chance."""
