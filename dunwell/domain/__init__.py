"""The pure core: what is owed, what to do next, and why. No I/O, clock, randomness, Temporal or SQL."""
