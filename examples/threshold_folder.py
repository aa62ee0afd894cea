"""Predict a folder with a threshold of one's own, and list how much of each image is foreground.

python threshold_folder.py MODEL IMAGES OUT THRESHOLD
"""

import csv
import sys
from pathlib import Path

import numpy as np
from PIL import Image

import ushape
from ushape.core.errors import DataError


def main(model: str, images: str, out: str, threshold: str) -> None:
    loaded, folder = ushape.load(model), Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for path in sorted(Path(images).iterdir()):
        try:
            prediction = loaded.predict(path)
        except DataError as error:  # an image that cannot be read; the others go on
            print(error)
            continue
        foreground = 1 - prediction.probabilities[0]  # whatever is not background, for any number of classes
        mask = foreground >= float(threshold)
        Image.fromarray(mask.astype(np.uint8) * 255).save(folder / f"{prediction.name}.png")
        rows.append({"image": path.name, "share": f"{mask.mean():.4f}", "surest": f"{foreground.max():.3f}"})
    with (folder / "shares.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["image", "share", "surest"])
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main(*sys.argv[1:])
