"""Collections of records: fetched, read from any file, and brought into one HDF5 file."""

SYNTHETIC = "SYNTHETIC.txt"
"""The file that marks a folder of synthetic records."""
