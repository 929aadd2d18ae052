"""The command table. Every module here but `table`, `line` and `facade` is a group of verbs."""
