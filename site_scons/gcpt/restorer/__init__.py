"""One restorer: its options, configuration, platform, codes, budgets, decisions and the use of its bytes."""
