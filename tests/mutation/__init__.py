"""Break the code in small ways, one at a time, to see which slips the tests notice: `make mutate`."""
