#!/usr/bin/env python3
"""Writes the pictures that Rust's encoders cannot: python make.py, with Pillow 13.0.0.

Each shows four quarters: red, green, blue and white, 32 x 16 pixels.
"""

import pathlib

from PIL import Image, ImageOps

HERE = pathlib.Path(__file__).parent
COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]
# What a camera does to an upright picture before it notes each orientation.
TURNS = {
    1: [], 2: [Image.Transpose.FLIP_LEFT_RIGHT], 3: [Image.Transpose.ROTATE_180],
    4: [Image.Transpose.FLIP_TOP_BOTTOM], 5: [Image.Transpose.TRANSPOSE], 6: [Image.Transpose.ROTATE_90],
    7: [Image.Transpose.TRANSVERSE], 8: [Image.Transpose.ROTATE_270],
}


def quarters():
    picture = Image.new("RGB", (32, 16))
    for at, colour in enumerate(COLOURS):
        picture.paste(colour, (at % 2 * 16, at // 2 * 8, at % 2 * 16 + 16, at // 2 * 8 + 8))
    return picture


def save(picture, name, **options):
    picture.save(HERE / name, **options)


def main():
    upright = quarters()
    for orientation, turns in TURNS.items():
        turned = upright
        for turn in turns:
            turned = turned.transpose(turn)
        exif = Image.Exif()
        exif[0x0112] = orientation
        save(turned, f"orientation_{orientation}.jpg", exif=exif, quality=95, subsampling=0)
        check = ImageOps.exif_transpose(Image.open(HERE / f"orientation_{orientation}.jpg"))
        assert check.size == (32, 16) and check.getpixel((2, 2))[0] > 200, orientation
    save(upright, "progressive.jpg", quality=95, progressive=True, subsampling=0)
    save(upright.convert("L"), "grey.jpg", quality=95)
    save(upright.convert("CMYK"), "cmyk.jpg", quality=95)
    save(upright, "lossy.webp", quality=95)
    save(upright, "lossless.webp", lossless=True)
    clear = upright.convert("RGBA")
    clear.putalpha(Image.new("L", (32, 16), 0))
    clear.paste((255, 0, 0, 255), (0, 0, 16, 8))
    save(clear, "clear.webp", lossless=True, exact=True)
    frames = [upright, upright.transpose(Image.Transpose.ROTATE_180)]
    save(frames[0], "animated.webp", save_all=True, append_images=frames[1:], lossless=True)
    save(frames[0], "animated.png", save_all=True, append_images=frames[1:])
    save(upright, "icon.gif")
    for name, mode in (("palette", "P"), ("grey", "L"), ("bilevel", "1")):
        save(upright.convert(mode), f"{name}.png")
    clear_palette = upright.quantize(8)
    save(clear_palette, "clear_palette.png", transparency=clear_palette.getpixel((2, 2)))
    save(upright, "icon.bmp")
    save(upright, "icon.tiff")


if __name__ == "__main__":
    main()
