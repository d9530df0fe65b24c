"""Files that pretend to be photos, or are odd ones. write_all(folder) -> {name: what must happen}.

"read": the plate in it must be read as from the plain photo; "refuse": an error that says why, no
crash, no great memory; "either": whichever, but neither a crash nor a hang.
"""
import io
import json
import os
import random
import shutil
import struct
import subprocess
import tempfile
import zlib

import numpy as np
from PIL import Image

import photos
import scene

SEED = 77


def _png_chunk(kind, data):
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def png_bomb(width, height, rows):
    """A PNG that promises width x height grey pixels and holds `rows` of them: small on disk."""
    packer = zlib.compressobj(9)
    line = b"\0" * (width + 1)
    data = b"".join(packer.compress(line) for _ in range(rows)) + packer.flush()
    return (b"\x89PNG\r\n\x1a\n" + _png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
            + _png_chunk(b"IDAT", data) + _png_chunk(b"IEND", b""))


def _jpeg(image, **options):
    out = io.BytesIO()
    image.save(out, "JPEG", quality=90, **options)
    return out.getvalue()


def _jpeg_of_size(jpeg, width, height):
    """The same stream under a header that lies about its size."""
    at = jpeg.index(b"\xff\xc0") + 5
    return jpeg[:at] + struct.pack(">HH", height, width) + jpeg[at + 4:]


def jpeg_of_scans(side, scans):
    """A grey progressive JPEG that goes over its picture `scans` times, in 14 bytes and its runs each."""
    def segment(marker, body):
        return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body
    blocks = (side // 8) ** 2
    # One code a table, "0": no difference; a run of 16384 + 14 bits of blocks without anything.
    tables = segment(0xC4, b"\0\1" + bytes(15) + b"\0") + segment(0xC4, b"\x10\1" + bytes(15) + b"\xE0")
    bits = ("0" + 14 * "1") * -(-blocks // 32767)
    bits += -len(bits) % 8 * "1"
    run = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xFF", b"\xFF\0")
    return (b"\xFF\xD8" + segment(0xDB, b"\0" + 64 * b"\x10")
            + segment(0xC2, struct.pack(">BHHB", 8, side, side, 1) + b"\1\x11\0") + tables
            + segment(0xDA, b"\1\1\0\0\0\0") + bytes(-(-blocks // 8))
            + scans * (segment(0xDA, b"\1\1\0\1\x3F\0") + run) + b"\xFF\xD9")


def _tiff16(image):
    """Three channels of 16 bits, little endian, uncompressed: Pillow cannot write it."""
    pixels = (np.asarray(image).astype("<u2") * 257).tobytes()
    w, h = image.size
    tags = ((256, 4, 1, w), (257, 4, 1, h), (258, 3, 3, 8 + 2 + 10 * 12 + 4), (259, 3, 1, 1),
            (262, 3, 1, 2), (273, 4, 1, 8 + 2 + 10 * 12 + 4 + 6), (277, 3, 1, 3), (278, 4, 1, h),
            (279, 4, 1, len(pixels)), (284, 3, 1, 1))
    table = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return (b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(tags)) + table + struct.pack("<I", 0)
            + struct.pack("<HHH", 16, 16, 16) + pixels)


def _png16(image):
    pixels = (np.asarray(image).astype(">u2") * 257)
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    return (b"\x89PNG\r\n\x1a\n" + _png_chunk(b"IHDR", struct.pack(">IIBBBBB", *image.size, 16, 2, 0, 0, 0))
            + _png_chunk(b"IDAT", zlib.compress(rows, 1)) + _png_chunk(b"IEND", b""))


def _loop_tiff():
    """A TIFF whose directory points to itself."""
    return b"II*\0" + struct.pack("<I", 8) + struct.pack("<HHHII", 1, 256, 4, 1, 9) + struct.pack("<I", 8)


def _exif_bomb(jpeg):
    """Orientation 99, and a tag that claims 4 GiB."""
    tiff = (b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", 2) + struct.pack("<HHII", 0x112, 3, 1, 99)
            + struct.pack("<HHII", 0x10F, 2, 0xFFFFFFF0, 8) + struct.pack("<I", 8))
    body = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


def _formats(image, made):
    """The plain photo in every dress that a camera or an archive may give it."""
    def as_bytes(kind, picture=image, **options):
        out = io.BytesIO()
        picture.save(out, kind, **options)
        return out.getvalue()
    made["plain.jpg"] = (_jpeg(image), "read")
    made["progressive.jpg"] = (_jpeg(image, progressive=True), "read")
    made["grey.jpg"] = (_jpeg(image.convert("L")), "read")
    made["cmyk.jpg"] = (_jpeg(image.convert("CMYK")), "read")
    made["wrong-suffix.png"] = (_jpeg(image), "read")
    made["photo.png"] = (as_bytes("PNG"), "read")
    made["palette.png"] = (as_bytes("PNG", image.quantize(128)), "read")
    alpha = image.copy()
    alpha.putalpha(255)
    made["alpha.png"] = (as_bytes("PNG", alpha), "read")
    made["deep.png"] = (_png16(image), "read")
    made["deep.tif"] = (_tiff16(image), "read")
    made["photo.tif"] = (as_bytes("TIFF", compression="tiff_lzw"), "read")
    made["photo.webp"] = (as_bytes("WEBP", quality=90), "read")
    made["photo.gif"] = (as_bytes("GIF", image.quantize(200)), "either")
    made["photo.bmp"] = (as_bytes("BMP"), "either")


def _broken(image, made):
    plain = _jpeg(image)
    made["empty.jpg"] = (b"", "refuse")
    made["text.jpg"] = (b"this is not a picture\n" * 40, "refuse")
    made["html.jpg"] = (b"<!DOCTYPE html><html><body>login</body></html>\n", "refuse")
    made["header-only.jpg"] = (plain[:200], "refuse")
    made["cut-early.jpg"] = (plain[:len(plain) // 20], "either")
    made["cut-half.jpg"] = (plain[:len(plain) // 2], "either")
    made["cut-end.jpg"] = (plain[:-2], "either")
    noise = np.random.default_rng(3).integers(0, 256, 40000, dtype=np.uint8).tobytes()
    made["noise.jpg"] = (noise, "refuse")
    made["magic-noise.jpg"] = (plain[:2] + noise, "refuse")
    middle = len(plain) // 2
    made["damaged.jpg"] = (plain[:middle] + noise[:400] + plain[middle + 400:], "either")
    made["lies-65500.jpg"] = (_jpeg_of_size(plain, 65500, 65500), "refuse")
    made["scans.jpg"] = (jpeg_of_scans(8000, 5000), "refuse")  # else half a minute
    made["few-scans.jpg"] = (jpeg_of_scans(800, 50), "either")
    made["zero.jpg"] = (_jpeg_of_size(plain, 0, 0), "refuse")
    made["exif-bomb.jpg"] = (_exif_bomb(plain), "read")
    made["bomb.png"] = (png_bomb(50000, 50000, 600), "refuse")
    made["wide.png"] = (png_bomb(60000, 3, 3), "either")
    made["tall.png"] = (png_bomb(3, 60000, 60000), "either")
    made["loop.tif"] = (_loop_tiff(), "refuse")
    made["svg.svg"] = (b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9">'
                       b'<image href="file:///etc/passwd" width="9" height="9"/></svg>', "refuse")
    made["script.jpg"] = (b"%!PS-Adobe-3.0\n(%pipe%id) (r) file\nshowpage\n", "refuse")


def _tiny(made):
    made["one-pixel.png"] = (_png(1, 1), "either")
    made["thin.png"] = (_png(1, 900), "either")
    made["blank.png"] = (_png(1200, 900), "either")


def _png(width, height):
    out = io.BytesIO()
    Image.new("RGB", (width, height), (200, 200, 200)).save(out, "PNG")
    return out.getvalue()


def heic(image):
    """HEIC when heif-enc is there (libheif-examples); else None."""
    if not shutil.which("heif-enc"):
        return None
    with tempfile.TemporaryDirectory() as folder:
        source, packed = os.path.join(folder, "photo.png"), os.path.join(folder, "photo.heic")
        image.save(source)
        run = subprocess.run(["heif-enc", "-q", "85", "-o", packed, source], capture_output=True, check=False)
        if run.returncode:
            return None
        with open(packed, "rb") as file:
            return file.read()


def write_all(folder):
    look = scene.Look(random.Random("hostile"), 1)
    look.turn, look.exif, look.shadow = 0, 1, 0
    image, truth = scene.draw_scene(SEED, 1, 1600, look)
    made = {}
    _formats(image, made)
    _broken(image, made)
    _tiny(made)
    packed = heic(image)
    if packed:
        made["photo.heic"] = (packed, "read")
        made["cut.heic"] = (packed[:len(packed) // 2], "refuse")
    for name, (data, _) in made.items():
        with open(os.path.join(folder, name), "wb") as out:
            out.write(data)
    expected = {name: what for name, (_, what) in made.items()}
    for orientation in range(1, 9):
        name = f"exif-{orientation}.jpg"
        photos.save_jpeg(os.path.join(folder, name), image, 90, orientation, SEED)
        expected[name] = "read"
    with open(os.path.join(folder, "expected.json"), "w", encoding="utf-8") as out:
        json.dump({"truth": truth["fields"], "files": expected}, out, ensure_ascii=False, indent=1)
    return expected
