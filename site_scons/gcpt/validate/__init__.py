"""Whether a checkpoint would restore: findings, and the checks that make them."""
