"""PostgreSQL remembers: SQL, migrations, and the two transactions of a step."""
