"""Fitting the avatar's Gaussians."""
