"""What happens around the training step: progress, validation, checkpoints, pictures."""
