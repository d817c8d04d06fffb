"""A network to a program: a table of integers, worked out here with NumPy alone, in milliseconds and for any number of lanes."""
