"""What boards are made from and what presses on them change: one module a kind, listed in `kinds`."""
