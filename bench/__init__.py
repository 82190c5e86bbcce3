"""`make bench`: our cases beside a bare workflow, on the same servers in the same run."""
