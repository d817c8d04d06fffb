"""What runs a program: the interpreter, its plain loops, losses, the optimizers' update, and the crew of threads."""
