"""Claims as data: a ledger of what documents state, and verdicts that follow from its numbers alone."""
