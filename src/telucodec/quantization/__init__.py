"""Latents to codes and back: residual vector quantization and its slots."""
