"""Faces: find, align, restore and paste back."""
