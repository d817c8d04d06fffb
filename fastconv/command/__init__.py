"""The `fastconv` command: its options, what it reads, and what it does."""
