"""The kernels where speed is bought: LLVM vector code, each beside its twin, plain loops that do the same with the same line.

A kernel takes (mem, line, tile): the flat memory, a line of the program, and the tile's context. Nothing checks bounds here:
the plan is checked instead (`program.bounds`).
"""
