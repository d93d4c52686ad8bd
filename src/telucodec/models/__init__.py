"""Encoder, quantizer, decoder and output stage make a codec; codecs on disk."""
