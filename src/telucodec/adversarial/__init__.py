"""Discriminators, the bundle of them, and both sides of a GAN objective."""
