"""Enlarging images: float resizing, sizes for models, tiled upscaling."""
