"""What is behind `telucodec study`: arms composed and kept, drafts, plans, runs, results."""
