"""What happened to faces, in words."""

from __future__ import annotations

from collections.abc import Sequence

from .face import Face
from .restore import FaceReport


def describe(
    reports: Sequence[FaceReport],
    images: int,
    strength: float,
    why: str = "",
    dropped: Sequence[Sequence[str]] = (),
) -> str:
    """One line for each image and one for each face that was found in it.

    Args:
        reports: of all faces, image by image.
        images: how many there are.
        strength: what was asked for; a lower one was the guard's choice.
        why: how faces were looked for, to end the sentence that none was found.
        dropped: for each image, sentences about what was given and could not be used.
    """
    lines = []
    for image in range(images):
        faces = [report for report in reports if report.image == image]
        restored = sum(report.restored for report in faces)
        if faces:
            lines.append(f"Image {image + 1}: {_faces(len(faces))} found, {restored} restored.")
        else:
            lines.append(f"Image {image + 1}: no face found{why}; it stays as it is.")
        lines += [f"  {_line(report, strength)}" for report in faces]
        lines += [f"  Not used: {text}." for text in (dropped[image] if dropped else ())]
    return "\n".join(lines)


def _line(report: FaceReport, asked: float) -> str:
    name = f"Face {report.number} at {_place(report.face)}, score {report.face.score:.2f}"
    if not report.restored:
        drift = f" ({report.drift})" if report.drift else ""
        return f"{name}: kept, {report.reason}{drift}."
    lowered = f", lowered from {asked:.2f} to stay itself" if report.strength < asked else ""
    return (
        f"{name}: restored at {report.scale:.2f} times its size, "
        f"strength {report.strength:.2f}{lowered}; {report.drift}."
    )


def _place(face: Face) -> str:
    left, top, right, bottom = face.box
    return f"({left:.0f}, {top:.0f}), {right - left:.0f}x{bottom - top:.0f} pixels"


def _faces(count: int) -> str:
    return "1 face" if count == 1 else f"{count} faces"
