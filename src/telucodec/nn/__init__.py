"""Building blocks of networks: convolutions that keep lengths, activations, norms, residual units, context."""
