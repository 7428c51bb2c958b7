"""Faults brought about on purpose; each script prints what it proved and fails when it did not."""
