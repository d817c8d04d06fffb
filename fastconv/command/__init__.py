"""The `fastconv` command: a file for each subcommand, with its options and what it does, and the tables that they read."""
