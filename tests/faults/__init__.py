"""Faults made on purpose: kills at random points, for every room's tests."""
