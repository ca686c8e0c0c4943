"""Frozen renderings: hashes that define OccWalk to the byte. Another hash is another benchmark.

The hashes of ``manifest.json`` are over all images and numbers of a rendering. Backgrounds and JPEG
files depend on OpenCV; these are of its versions in `constraints.txt`.

Seeds below 100 are for development. Seeds from 100 on are for published results only.
"""

FROZEN = {
    # (version, preset, seed): sha256
    (1, "occwalk_tiny", 0): "e1a460007d1ab7d85bd677d9ccf31174d5b983f1723346556233fbfd3f4037a5",
    (1, "occwalk_small", 0): "0817d6c90f49116a0652a1f2a9b7b306aa389b2c39c6e2ed4d31046bc7212caa",
    (1, "occwalk_small", 1): "daa86d1507ca6785795508b9ab505f3933350feb081610cf2e4cf17589610fbd",
    (1, "occwalk_small", 200): "b6881a53c9a0de7a0688254d88459b3cd3f7e63a967315afd243fe6fcd5dbd97",
    (1, "occwalk_small", 201): "49d808a39f7b49943d9f0f45ef52570886a2c8132d9d048930de0975718d10bb",
    (1, "occwalk_small", 202): "da8bbdc91aae13e7080867bb23696553c6bf0b71209352ffd98504d3a6e90237",
}
