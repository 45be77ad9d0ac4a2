"""What one restorer is: options, configuration, platforms, codes, budgets, what it finds, what its bytes are for."""
