"""Train on a folder of images and masks, predict new images, and measure them.

python train_and_predict.py DATA IMAGES OUT [RECIPE]
"""

import sys
from pathlib import Path

import ushape
from ushape.core.events import Event, describe


def show(event: Event) -> None:
    """Print what happens, as it happens; any function of one event will do."""
    print(describe(event))


def main(data: str, images: str, out: str, recipe: str | None = None) -> None:
    folder = Path(out)
    model = ushape.train(data, folder / "run", recipe=recipe, listener=show)
    for path in sorted(Path(images).iterdir()):
        prediction = model.predict(path)
        classes = zip(model.recipe.data.labels.names, prediction.probabilities.mean(axis=(1, 2)), strict=True)
        print(path.name, prediction.label.shape, *(f"{name} {share:.1%}" for name, share in classes))
    again = ushape.load(folder / "run" / "model.safetensors", mirror=True)  # another day, and a little better
    print("averaged over flips:", again.predict(path).label.mean())


if __name__ == "__main__":
    main(*sys.argv[1:])
