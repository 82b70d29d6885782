"""What a project is: its build system, where it builds, how it is configured."""
