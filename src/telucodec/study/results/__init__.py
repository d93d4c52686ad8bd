"""What many runs come to: their figures in one table, with statistics."""
