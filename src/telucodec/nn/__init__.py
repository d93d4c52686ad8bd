"""Building blocks of networks: convolutions that keep lengths, activations, weight norms, residual units."""
