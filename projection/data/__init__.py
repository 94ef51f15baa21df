"""From an HDF5 file to batches on the device."""
