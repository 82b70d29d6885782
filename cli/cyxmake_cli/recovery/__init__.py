"""Acts on diagnoses: candidates for a cause, one transaction each, verified, kept or taken back."""
