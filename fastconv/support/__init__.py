"""What carries the rest: the border, windows, random numbers by counter, threads, Numba, and a forward pass with NumPy alone."""
