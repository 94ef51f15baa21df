"""Trains what a table of results lacks, and makes the table; `make table` calls it."""
