"""The steps of a case as Temporal activities, one module for each stage."""
