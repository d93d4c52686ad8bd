"""A study to look at and listen to: one page without network, and figures for its README."""
