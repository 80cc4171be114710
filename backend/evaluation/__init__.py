"""Truth sets, metrics, baselines and their report."""
