"""The sample course's package."""
