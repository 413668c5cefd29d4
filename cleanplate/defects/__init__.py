"""Defects of images: what kinds there are, where they are, how bad, and what would repair them."""
