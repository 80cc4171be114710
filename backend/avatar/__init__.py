"""The coupled Gaussian-mesh avatar."""
