"""Descriptions, HTML pages and memory maps of checkpoints and restorers."""
