"""Latents to codes and back: residual vector quantization with its slots, scalar quantization, compounds of both."""
