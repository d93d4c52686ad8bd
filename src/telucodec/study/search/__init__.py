"""Searches over configurations: what is searched, who proposes, what a trial comes to, and what is learnt from all."""
