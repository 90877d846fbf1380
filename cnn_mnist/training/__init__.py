"""Builds the Estimator and runs it: hooks, validation, several steps per session call."""
