"""A laboratory for training neural audio codecs: every part a config group, every fix a switch."""

__version__ = "0.1.0"
