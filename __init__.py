"""ComfyUI-CleanPlate: remove objects from images so that nothing else changes."""

from .nodes import CleanPlateExtension

WEB_DIRECTORY = "./js"


async def comfy_entrypoint() -> CleanPlateExtension:
    return CleanPlateExtension()
