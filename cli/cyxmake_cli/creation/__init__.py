"""New projects from a description: text to specification, specification to files, files to disk."""
