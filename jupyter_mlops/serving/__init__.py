"""Serving: the endpoint process, its protocols, and the log of everything it answered."""
