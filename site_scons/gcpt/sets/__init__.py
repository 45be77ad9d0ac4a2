"""Sets of checkpoints: their points, and work on all of them."""
