"""What is measured on whole utterances: level, spectrum, codebooks, perception."""
