"""CleanPlate: empty an image of an object so that nothing else changes.

The library works on torch tensors laid out as ComfyUI lays them out and knows nothing of ComfyUI:
IMAGE is float ``[B, H, W, C]`` in 0..1, MASK is float ``[B, H, W]`` in 0..1 where 1 marks the part
to change.
"""
