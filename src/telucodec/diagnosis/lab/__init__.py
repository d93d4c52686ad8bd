"""The collapse laboratory: synthetic signals with chosen figures, on which every identity is an experiment."""
