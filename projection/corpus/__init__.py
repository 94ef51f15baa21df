"""Collections of records: fetched, read from any file, and brought into one HDF5 file."""
