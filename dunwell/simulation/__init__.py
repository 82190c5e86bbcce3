"""The same domain under a virtual clock: whole portfolios in memory."""
