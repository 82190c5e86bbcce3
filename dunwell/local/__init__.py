"""The embedded servers of a checkout: PostgreSQL, Temporal, and the processes around them."""
