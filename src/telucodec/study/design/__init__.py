"""Studies as data: what is asked, which arms answer it, and what that costs."""
