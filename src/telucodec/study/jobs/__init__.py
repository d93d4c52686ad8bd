"""Runs as jobs: what identifies one, where it lives, how it is started and how it stands."""
