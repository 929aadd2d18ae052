"""The Jupyter Server extension: the command table as routes, reports, and live events."""
