"""The photos and cut-outs of RemovalCheck's cases: the tuning split and the held-out one.

Every photo and every cut-out belongs to one of the splits, never to both, and a cut-out comes from
a photo of its own split.

A hole lies inside one of the hand-drawn boxes of `TUNING` or `HELD_OUT`: background, texture, or
structure that runs on outside (planks, a flag's stripes, a coat against the sky, branching
vessels). No box holds a whole thing of its own, because a refinement that shows one has painted an
object, even if the photographer had seen it there.

The held-out split was chosen and its boxes drawn by eye, before anything was measured on it: 20
photos and 37 cut-outs that played no part before. It was looked at once, with features chosen on
the tuning split. Its 8 predecessors (the last 8 of `TUNING`, from coffee on) were looked at four
times while the features changed, and are tuning photos since.

Some photos come with scikit-image and scikit-learn. The others are in one folder, by the names
used here, and are shrunk to 640 pixels on the longer side. For tuning: pictures of the Debian
packages mate-backgrounds, lomiri-wallpapers-16.04, lomiri-wallpapers-20.04 and opencv-doc,
grace_hopper of matplotlib and portrait_paul_rudd of facenet-pytorch. Held out:

- ultralytics: bus, zidane; imgaug: quokka (PyPI);
- plasma-workspace-wallpapers (Debian, as the others): FallenLeaf, Path, EveningGlow, OneStandsOut,
  BytheWater, of 2560x1600 pixels;
- hugin-data: CA_fringes00; cimg-examples: parrot;
- gcompris-qt-data, whose .rcc files `rcc --reverse` of Qt unpacks: hawaMahal, pontduGard,
  konarkSunTemple and greatWallofChina, narwhal, jaguar, lemur, scarlet_macaw, hedgehog, panda,
  crocodile and canyondeChelly, chicken, cat and duck, america; and blocks, the picture of
  categorization in which three wooden cubes say ABC;
- tuxpaint-stamps-default: the cut-outs with alpha.
"""

from __future__ import annotations

Boxes = tuple[tuple[int, int, int, int], ...]
"""left, top, right, bottom in pixels of the photo."""

TUNING: dict[str, Boxes] = {
    "astronaut": (
        (72, 0, 146, 130),
        (300, 20, 368, 230),
        (0, 100, 66, 370),
        (66, 230, 130, 480),
        (120, 265, 235, 350),
    ),
    "motorcycle_left": (
        (0, 400, 200, 500),
        (340, 415, 540, 500),
        (0, 290, 115, 420),
        (80, 0, 165, 100),
        (225, 15, 305, 145),
    ),
    "camera": (
        (130, 0, 512, 70),
        (340, 250, 512, 420),
        (150, 300, 230, 490),
        (20, 190, 140, 350),
        (30, 50, 140, 210),
    ),
    "brick": ((0, 0, 512, 512),),
    "grass": ((0, 0, 512, 512),),
    "ihc": ((0, 0, 250, 230), (290, 0, 440, 250), (130, 230, 240, 512), (380, 250, 512, 512)),
    "aitzgorri_by_Aitzol_Berasategi": (
        (32, 0, 608, 64),
        (64, 77, 640, 192),
        (0, 179, 352, 290),
        (0, 298, 640, 426),
    ),
    "Bridge_by_Sander_Klootwijk": (
        (0, 0, 288, 270),
        (461, 36, 640, 270),
        (288, 90, 480, 281),
        (0, 313, 640, 360),
    ),
    "Dune": ((0, 240, 640, 400), (0, 0, 224, 112), (192, 100, 640, 360)),
    "GreenMeadow": ((0, 0, 640, 512),),
    "Blinds": ((0, 0, 640, 400),),
    "Wood": ((0, 0, 640, 480),),
    "Kleiber_by_Lukas_Baubkus": ((38, 7, 224, 353), (371, 198, 640, 360)),
    "aloeL": ((0, 0, 269, 211), (461, 11, 640, 194), (0, 399, 320, 554)),
    "baboon": ((0, 282, 102, 512), (410, 205, 512, 512)),
    "building": ((160, 53, 512, 265), (0, 376, 640, 442)),
    "friends_by_Aitzol_Berasategi": ((256, 0, 426, 256), (0, 384, 192, 640), (213, 403, 426, 512)),
    "leuvenA": ((64, 374, 480, 480), (96, 0, 384, 144)),
    "life_by_Aitzol_Berasategi": ((0, 170, 288, 426), (320, 149, 640, 426), (32, 0, 384, 128)),
    "picosdeeuropa_by_Aitzol_Berasategi": (
        (224, 264, 640, 422),
        (256, 72, 640, 240),
        (384, 0, 640, 82),
        (0, 240, 256, 480),
    ),
    "rubberwhale1": ((374, 0, 584, 233), (0, 0, 321, 97)),
    "messi5": ((0, 274, 247, 342), (340, 7, 548, 137)),
    "Picture_0B_by_freespace": ((448, 0, 640, 87), (0, 238, 96, 433), (0, 0, 288, 108)),
    "Dragonfly_by_Bolly": ((0, 144, 352, 456), (480, 144, 640, 456)),
    "Aqua": ((0, 0, 320, 400), (320, 0, 640, 160), (320, 340, 640, 400)),
    "Garden": ((0, 0, 288, 360),),
    "coffee": (
        (0, 150, 78, 400),
        (430, 20, 600, 200),
        (480, 170, 600, 400),
        (80, 250, 190, 360),
        (330, 320, 480, 400),
    ),
    "chelsea": ((0, 100, 110, 300), (150, 15, 285, 80), (365, 140, 451, 300), (85, 180, 225, 260)),
    "rocket": (
        (210, 10, 300, 350),
        (330, 10, 430, 350),
        (5, 30, 95, 340),
        (555, 0, 640, 340),
        (160, 150, 225, 340),
    ),
    "gravel": ((0, 0, 512, 512),),
    "moon": ((10, 150, 220, 500), (330, 200, 500, 500), (190, 200, 280, 460)),
    "retina": ((200, 200, 1200, 450), (300, 900, 1200, 1250), (850, 450, 1300, 950)),
    "china.jpg": (
        (250, 10, 640, 180),
        (360, 160, 550, 270),
        (10, 350, 330, 427),
        (350, 290, 545, 427),
        (555, 180, 640, 400),
        (85, 150, 320, 350),
    ),
    "flower.jpg": ((10, 10, 170, 420), (455, 60, 630, 380), (185, 95, 285, 335)),
}
HELD_OUT: dict[str, Boxes] = {
    "bus": ((0, 548, 480, 640), (150, 455, 385, 525), (232, 190, 340, 310)),
    "zidane": ((0, 0, 220, 140), (340, 0, 440, 160), (590, 10, 640, 350), (125, 190, 235, 340)),
    "quokka": ((330, 10, 640, 130), (385, 240, 640, 429), (0, 0, 95, 429), (240, 250, 350, 420)),
    "FallenLeaf": ((0, 200, 330, 400), (310, 0, 640, 115), (395, 190, 505, 300)),
    "Path": ((0, 0, 640, 200), (200, 200, 640, 400), (0, 210, 150, 400)),
    "EveningGlow": ((0, 0, 640, 130), (270, 295, 640, 400), (0, 150, 390, 195)),
    "OneStandsOut": ((0, 0, 390, 300), (480, 0, 640, 400)),
    "BytheWater": ((0, 200, 640, 400), (0, 0, 540, 75), (0, 110, 380, 180)),
    "CA_fringes00": (
        (365, 0, 640, 250),
        (365, 265, 640, 480),
        (262, 0, 355, 300),
        (0, 0, 240, 280),
        (0, 300, 220, 470),
    ),
    "parrot": ((120, 150, 370, 325), (350, 0, 495, 130), (380, 240, 495, 498), (0, 180, 100, 300)),
    "hawaMahal": ((64, 330, 576, 450), (100, 130, 540, 330)),
    "pontduGard": ((140, 110, 640, 280), (0, 65, 120, 290), (256, 285, 640, 426), (0, 0, 640, 90)),
    "konarkSunTemple": (
        (0, 0, 130, 240),
        (0, 240, 140, 450),
        (455, 240, 640, 450),
        (130, 380, 470, 480),
    ),
    "greatWallofChina": (
        (260, 280, 640, 460),
        (260, 150, 500, 240),
        (0, 110, 330, 200),
        (75, 330, 240, 470),
    ),
    "narwhal": ((0, 0, 640, 125), (0, 262, 640, 331), (0, 180, 190, 331)),
    "jaguar": (
        (0, 0, 250, 130),
        (0, 130, 100, 400),
        (340, 0, 640, 120),
        (540, 120, 640, 427),
        (140, 240, 270, 360),
    ),
    "lemur": ((410, 0, 640, 190), (560, 200, 640, 427), (120, 275, 240, 400)),
    "chicken": ((142, 60, 228, 330), (0, 330, 580, 427), (60, 150, 130, 290), (480, 180, 590, 300)),
    "america": ((500, 0, 640, 240), (565, 370, 640, 470), (150, 210, 270, 340)),
    "canyondeChelly": (
        (96, 280, 420, 420),
        (430, 295, 640, 420),
        (0, 55, 380, 145),
        (130, 135, 400, 200),
    ),
}

Place = tuple[str, str, tuple[int, ...]]
"""How to cut: photo, way, numbers. See `_cut`."""

TUNING_CUTOUTS: dict[str, Place] = {
    "astronaut": ("astronaut", "grab", (130, 10, 320, 200)),
    "badge": ("astronaut", "ellipse", (171, 385, 38, 38)),
    "helmet": ("astronaut", "grab", (275, 345, 505, 511)),
    "wheel": ("motorcycle_left", "ellipse", (192, 317, 68, 80)),
    "tank": ("motorcycle_left", "grab", (240, 140, 520, 290)),
    "cameraman": ("camera", "grab", (100, 55, 350, 310)),
    "coin 1": ("coins", "ellipse", (334, 42, 29, 29)),
    "coin 2": ("coins", "ellipse", (270, 119, 25, 25)),
    "coin 3": ("coins", "ellipse", (345, 186, 31, 31)),
    "coin 4": ("coins", "ellipse", (45, 258, 28, 28)),
    "handwriting 1": ("text", "ink", (112, 65, 212, 120)),
    "handwriting 2": ("text", "ink", (0, 30, 75, 85)),
    "horse": ("horse", "dark", (0, 0, 400, 328)),
    "ladybird": ("LadyBird", "ellipse", (445, 204, 35, 36)),
    "butterfly": ("butterfly", "grab", (10, 61, 478, 285)),
    "apple": ("apple", "grab", (15, 10, 497, 476)),
    "marigold": ("Garden", "grab", (243, 20, 634, 392)),
    "ball": ("messi5", "ellipse", (362, 310, 27, 24)),
    "player": ("messi5", "grab", (55, 34, 460, 339)),
    "dog": ("friends_by_Aitzol_Berasategi", "grab", (128, 128, 256, 269)),
    "aloe pot": ("aloeL", "ellipse", (448, 460, 77, 72)),
    "bottle": ("Wine_by_Jakkub_Mede", "grab", (201, 122, 265, 230)),
    "drum": ("Wine_by_Jakkub_Mede", "grab", (9, 320, 342, 621)),
    "toy whale": ("rubberwhale1", "ellipse", (272, 142, 50, 54)),
    "admiral": ("grace_hopper", "grab", (26, 30, 502, 594)),
    "dandelion": ("seeding_by_Clements_Engelhardt", "ellipse", (198, 122, 109, 112)),
    "nuthatch": ("Kleiber_by_Lukas_Baubkus", "grab", (230, 108, 358, 274)),
    "baboon's face": ("baboon", "ellipse", (256, 256, 179, 251)),
    "portrait": ("portrait_paul_rudd", "ellipse", (256, 269, 195, 269)),
    "splash": ("Aqua", "ellipse", (448, 248, 109, 104)),
    "fig": ("Picture_0B_by_freespace", "ellipse", (352, 238, 83, 91)),
    "yellow flower": ("YellowFlower", "grab", (128, 8, 634, 396)),
    "letter": ("rubberwhale1", "ellipse", (70, 341, 70, 70)),
    **{f"face {i}": ("lfw_subset", "face", (i,)) for i in range(6)},
    "cat": ("chelsea", "grab", (100, 5, 375, 290)),
    "cat's eye": ("chelsea", "ellipse", (172, 117, 34, 32)),
    "cup": ("coffee", "grab", (160, 10, 430, 320)),
    "cup and saucer": ("coffee", "ellipse", (280, 205, 195, 185)),
    "spoon": ("coffee", "ellipse", (365, 285, 40, 42)),
    "rocket": ("rocket", "grab", (295, 115, 350, 415)),
    "crater": ("moon", "ellipse", (120, 86, 27, 27)),
    "words 1": ("page", "ink", (0, 5, 150, 35)),
    "words 2": ("page", "ink", (0, 45, 120, 110)),
    "snake": ("logo", "ellipse", (248, 248, 244, 244)),
    "bead": ("cell", "ellipse", (428, 372, 70, 70)),
    "flower": ("flower.jpg", "grab", (165, 80, 450, 360)),
    "pagoda": ("china.jpg", "grab", (70, 25, 350, 390)),
    **{f"face {i}": ("lfw_subset", "face", (i,)) for i in range(50, 56)},
}
HELD_OUT_CUTOUTS: dict[str, Place] = {
    "shouting man": ("zidane", "grab", (60, 95, 390, 358)),
    "grey-haired man": ("zidane", "ellipse", (489, 80, 40, 56)),
    "man in black": ("bus", "grab", (135, 235, 205, 525)),
    "man in beige": ("bus", "grab", (28, 230, 148, 540)),
    "bearded man": ("bus", "ellipse", (79, 270, 16, 22)),
    "maple leaf": ("FallenLeaf", "grab", (322, 112, 585, 338)),
    "boat": ("EveningGlow", "grab", (195, 190, 275, 312)),
    "orange moss": ("OneStandsOut", "grab", (385, 165, 450, 232)),
    "quokka": ("quokka", "grab", (90, 20, 370, 428)),
    "lemur": ("lemur", "grab", (230, 130, 410, 410)),
    "hen": ("chicken", "grab", (38, 70, 140, 320)),
    "guitar": ("america", "grab", (350, 200, 540, 478)),
    "bass drum": ("america", "ellipse", (249, 308, 117, 115)),
    "macaw": ("scarlet_macaw", "grab", (100, 60, 480, 470)),
    "hedgehog": ("hedgehog", "grab", (120, 120, 600, 420)),
    "kitten": ("cat", "grab", (30, 60, 600, 470)),
    "ball of yarn": ("cat", "ellipse", (375, 237, 66, 66)),
    "duck": ("duck", "grab", (80, 30, 560, 600)),
    "panda": ("panda", "grab", (120, 40, 480, 400)),
    "crocodile": ("crocodile", "grab", (40, 50, 600, 260)),
    "letter B": ("blocks", "ink", (62, 170, 165, 272)),
    "pelican": ("pelican", "alpha", ()),
    "capybara": ("capybara", "alpha", ()),
    "penguin": ("magellanic_penguin", "alpha", ()),
    "tractor wheel": ("wheel_tractor", "alpha", ()),
    "lobster": ("lobster", "alpha", ()),
    "cherries": ("Cherry_Stella", "alpha", ()),
    "firetruck": ("firetruck", "alpha", ()),
    "light bulb": ("Lightbulb", "alpha", ()),
    "chimp": ("chimp", "alpha", ()),
    "ginger": ("ginger", "alpha", ()),
    "anemone": ("anemone_red", "alpha", ()),
    "cement mixer": ("cementmixer", "alpha", ()),
    "woodlouse": ("Woodlouse", "alpha", ()),
    "otter": ("otter", "alpha", ()),
    "railroad crossing": ("railroad_crossing", "alpha", ()),
    "syringe": ("syringe", "alpha", ()),
}
