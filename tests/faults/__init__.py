"""Injected faults. Each script prints what it measured, and fails if a property does not hold."""
