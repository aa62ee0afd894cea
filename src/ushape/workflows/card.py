"""A model's card on a hub: the README of its repository."""

from __future__ import annotations

from ushape.core.events import count
from ushape.core.model_file import HUB, ModelHeader
from ushape.plan.recipe import Recipe


def write_card(header: ModelHeader, recipe: Recipe, name: str) -> str:
    """Write a model's card, the README of its repository, out of what its file says of itself."""
    labels = recipe.data.labels
    pairs = zip(labels.names, labels.values, strict=True)
    classes = "\n".join(f"| {each} | {value} |" for each, value in pairs)
    dice = (header.score or {}).get("dice") or {}
    scores = "\n".join(f"| {each} | {value:.3f} |" for each, value in dice.items() if value is not None)
    told = {key: value for key, value in (header.provenance or {}).items() if not isinstance(value, dict)}
    facts = "\n".join(f"- {key.replace('_', ' ')}: {value}" for key, value in told.items())
    return f"""---
library_name: ushape
pipeline_tag: image-segmentation
tags: [image-segmentation, u-net, ushape]
---
# {name}

A U-Net for {recipe.net.ndim}D images of {count(recipe.data.channels, "channel")}: {count(header.members, "network")} of
{header.parameters:,} weights. One safetensors file, which holds the preparation of images too; nothing in it is run.

    ushape predict {HUB}{name} IMAGES -o MASKS

| class | value in masks |
|---|---|
{classes}

## Dice on held-out cases

| class | mean Dice |
|---|---|
{scores or "| | none was held out |"}

## Where it comes from

{facts}
"""
