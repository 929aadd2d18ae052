"""Object storage and the web, through fsspec."""
