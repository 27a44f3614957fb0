"""Writes the reference files of this folder's parent with Pillow.

Run as: python3 reference.py PHOTO.png   (any RGB photograph of at least 160x120 pixels)
The files kept were made with Pillow 9.4.0, libjpeg-turbo 2.1.5 and libwebp 1.2.4 (Debian 12) and its cjpeg.

resize.json   Image.resize of small pictures of noise, all six filters
NAME.jpg|webp|gif|tif   a picture in one encoding, and NAME.*.png: the RGB pixels that Pillow reads from it
"""
import json
import pathlib
import random
import subprocess
import sys

from PIL import Image

OUT = pathlib.Path(__file__).resolve().parent.parent
random.seed(1912)


def resize_cases():
    cases = []
    for (w, h), (ow, oh) in [
        ((7, 5), (3, 4)), ((5, 7), (11, 9)), ((6, 6), (6, 3)), ((6, 6), (4, 6)), ((1, 1), (3, 2)),
        ((40, 3), (2, 2)), ((3, 40), (5, 1)), ((10, 10), (9, 9)), ((8, 8), (8, 8)), ((4, 2), (13, 7)),
    ]:
        # Extreme values provoke overshoot, which has to be clamped.
        pix = bytes(random.choice([0, 255, random.randrange(256)]) for _ in range(w * h * 3))
        for f in range(6):
            out = Image.frombytes("RGB", (w, h), pix).resize((ow, oh), f)
            cases.append(dict(w=w, h=h, pix=pix.hex(), filter=f, to_w=ow, to_h=oh, out=out.tobytes().hex()))
    (OUT / "resize.json").write_text("[\n" + ",\n".join(map(json.dumps, cases)) + "\n]\n")


def keep(name):
    Image.open(OUT / name).convert("RGB").save(OUT / (name + ".png"), optimize=True)


def encodings(photo):
    im = photo.crop((60, 40, 60 + 51, 40 + 35))
    ppm = OUT / "photo.ppm"
    im.save(ppm)
    for name, options in {
        "h2v1": ["-sample", "2x1"], "h1v2": ["-sample", "1x2"], "h2v2": ["-sample", "2x2"], "h4v1": ["-sample", "4x1"],
        "h2v2-progressive": ["-sample", "2x2", "-progressive"], "h2v2-restart": ["-sample", "2x2", "-restart", "1"],
        "rgb": ["-rgb"],
    }.items():
        subprocess.check_call(["cjpeg", "-quality", "92", *options, "-outfile", OUT / f"{name}.jpg", ppm])
        keep(f"{name}.jpg")
    ppm.unlink()
    noise = Image.frombytes("RGB", (4, 6), bytes(random.randrange(256) for _ in range(72)))
    noise.save(OUT / "narrow.jpg", quality=92, subsampling=2)
    keep("narrow.jpg")

    # The same bytes read as CMYK, as YCCK (the transform in the Adobe segment set to 2) and without that segment.
    im.convert("CMYK").save(OUT / "cmyk.jpg", quality=92)
    data = (OUT / "cmyk.jpg").read_bytes()
    adobe = data.index(b"\xff\xee")
    length = 2 + int.from_bytes(data[adobe + 2:adobe + 4], "big")
    (OUT / "ycck.jpg").write_bytes(data[:adobe + length - 1] + b"\x02" + data[adobe + length:])
    (OUT / "cmyk-unmarked.jpg").write_bytes(data[:adobe] + data[adobe + length:])
    for name in ["cmyk.jpg", "ycck.jpg", "cmyk-unmarked.jpg"]:
        keep(name)

    alpha = im.copy()
    alpha.putalpha(im.convert("L"))
    frames = [photo.crop((60 + 9 * i, 40, 111 + 9 * i, 75)) for i in range(3)]
    im.save(OUT / "lossy.webp", quality=80)
    im.save(OUT / "lossless.webp", lossless=True)
    alpha.save(OUT / "alpha.webp", quality=80)
    frames[0].save(OUT / "animated.webp", save_all=True, append_images=frames[1:], quality=80)
    frames[0].quantize(32).save(OUT / "animated.gif", save_all=True, append_images=[f.quantize(32) for f in frames[1:]])
    im.save(OUT / "lzw.tif", compression="tiff_lzw")
    im.quantize(16).save(OUT / "palette.tif")
    for name in ["lossy.webp", "lossless.webp", "alpha.webp", "animated.webp", "animated.gif", "lzw.tif", "palette.tif"]:
        keep(name)


resize_cases()
encodings(Image.open(sys.argv[1]).convert("RGB"))
