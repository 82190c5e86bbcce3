#!/bin/sh
# Makes or raises the schema of Temporal's two databases. May run again at any time: it does what is missing.
set -eu

for database in temporal temporal_visibility; do
    schema="${database#temporal_}"
    for step in "setup-schema -v 0.0" "update-schema --schema-name postgresql/v12/$schema"; do
        # Unquoted on purpose: a step is a command with its options. The password comes by SQL_PASSWORD.
        # shellcheck disable=SC2086
        temporal-sql-tool --plugin postgres12 --ep postgres -p 5432 -u temporal --db "$database" $step
    done
done
