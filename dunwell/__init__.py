"""Dunwell: dunning, done well. An event-driven collections engine."""
