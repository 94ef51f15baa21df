"""Where ECG records come from: PTB-XL tables, WFDB conversion, the HDF5 store and the data modules."""
