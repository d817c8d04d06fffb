"""A network to a program: a table of integers, worked out with NumPy alone, in milliseconds, for any number of lanes."""
