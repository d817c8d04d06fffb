"""What carries the rest: the border, windows, random numbers by counter, threads, Numba, and prediction with NumPy alone."""
