"""Named terms of the generator's objective and how they combine."""
