"""CASE -> NORMALISED CASE, AND BACK: every step returns the way back with the case."""
