"""Separation by fitting smooth source models to the one recording at hand; nothing is learned."""
