"""Descriptions, pages and drawings of checkpoints and restorers."""
