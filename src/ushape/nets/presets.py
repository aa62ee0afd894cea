"""Named networks: the only place that knows their numbers.

>>> preset("attention-3d", classes=3).ndim
3
>>> preset("unet-bm")
Traceback (most recent call last):
ushape.core.errors.ConfigError: unknown preset 'unet-bm'; did you mean 'unet-bn'? choose one of: ...
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ushape.core.config import choose, parse_config
from ushape.core.errors import ConfigError
from ushape.nets.attention import GateConfig
from ushape.nets.blocks import BlockConfig
from ushape.nets.config import DecoderConfig, UNetConfig
from ushape.nets.encoders import load_encoder
from ushape.nets.ndim import Dim
from ushape.nets.transunet import TransformerConfig
from ushape.nets.unet import UNet

BATCH_RELU = BlockConfig(norm="batch", activation="relu")
NNUNET_BLOCK = BlockConfig(norm="instance", activation="leaky_relu", bias="on")
WIDE = (64, 128, 256, 512, 1024)
MIDDLING = (32, 64, 128, 256, 512)


def preset(name: str, *, in_channels: int = 1, classes: int = 2, ndim: Dim | None = None) -> UNetConfig:
    """Return the config of a named network.

    Args:
        name: a key of `PRESETS`, or `timm:NAME` for an encoder of timm.
        ndim: spatial axes; None for those the preset is known for.
    Raises:
        ConfigError: the name is unknown, the network does not exist in that many dimensions, or a count is below 1.
    """
    if name.startswith("timm:"):
        entry = Preset(lambda _: pretrained_encoder(name), (2,))
    else:
        entry = choose(name, PRESETS, "preset")
    dim = ndim or entry.dims[0]
    if dim not in entry.dims:
        dims = " or ".join(map(str, entry.dims))
        raise ConfigError(f"preset {name}: expected ndim {dims}, got {dim}; take another preset for other axes")
    asked = {"in_channels": in_channels, "classes": classes}
    return parse_config(UNetConfig, entry.make(dim).model_dump() | asked, f"preset {name}")


def build(config: UNetConfig, *, pretrained: bool = True) -> UNet:
    """Build the network of a config.

    Args:
        pretrained: also load `encoder_weights`; false where all weights are about to be loaded from a model file.
    Raises:
        ModelFileError: the encoder's weights cannot be read or do not fit.
    """
    net = UNet(config)
    if pretrained and config.encoder_weights != "none":
        load_encoder(net.encoder, config.encoder_weights)
    return net


def unet_2015(ndim: Dim) -> UNetConfig:
    """Unpadded convolutions, no norm: 572 x 572 in, 388 x 388 out; 31,030,658 parameters (1 channel, 2 classes).

    Source: Ronneberger et al. 2015, arXiv:1505.04597, fig. 1.
    """
    block = BlockConfig(norm="none", activation="relu", padding="valid")
    return UNetConfig(ndim=ndim, widths=WIDE, block=block, align="crop")


def unet_bn(ndim: Dim) -> UNetConfig:
    """Padded convolutions and batch norm, as the popular PyTorch port has them; 31,037,698 parameters (3 channels).

    Source: Pytorch-UNet (milesial), after Ronneberger et al. 2015, arXiv:1505.04597.
    """
    return UNetConfig(ndim=ndim, widths=WIDE, block=BATCH_RELU)


def unet_bn_bilinear(ndim: Dim) -> UNetConfig:
    """The same with interpolation and half the bottleneck; 17,263,042 parameters (3 channels).

    Source: Pytorch-UNet (milesial) with bilinear=True.
    """
    decoder = DecoderConfig(widths=(64, 64, 128, 256), middle="half_in")
    return unet_bn(ndim).model_copy(
        update={
            "widths": (64, 128, 256, 512, 512),
            "decoder": decoder,
            "up": "linear",
            "up_kernel": 0,
            "align_corners": True,
        }
    )


def unet_3d(ndim: Dim) -> UNetConfig:
    """Channels double before each pooling, so that no level is a bottleneck.

    Source: Cicek et al. 2016, arXiv:1606.06650, fig. 2; padded here. Its 19,069,955 parameters are ours without norms
    and without the biases of the up-convolutions.
    """
    block = BlockConfig(norm="batch", activation="relu", middle="half_out")
    return UNetConfig(ndim=ndim, widths=WIDE[:4], block=block, decoder=DecoderConfig(grow="coarse"))


def attention_2d(ndim: Dim) -> UNetConfig:
    """Gates with batch norm on every skip, nearest upsampling and a convolution.

    Source: Oktay et al. 2018, arXiv:1804.03999, in the 2D form that tutorials follow.
    """
    gate = GateConfig(reduction=2, norm=True)
    return UNetConfig(ndim=ndim, widths=WIDE, block=BATCH_RELU, skip="gate", gate=gate, up="nearest", up_kernel=3)


def attention_3d(ndim: Dim) -> UNetConfig:
    """Gates on a quarter of the channels on every skip, trilinear upsampling.

    Source: Oktay et al. 2018, arXiv:1804.03999, fig. 1, with the widths of its code; it leaves the finest skip ungated.
    """
    return UNetConfig(ndim=ndim, widths=(16, 32, 64, 128, 256), block=BATCH_RELU, skip="gate", up="linear")


def vgg16(ndim: Dim) -> UNetConfig:
    """The convolutions of VGG16 as encoder; set `encoder_weights` to a file of torchvision's.

    Source: Simonyan and Zisserman 2014, arXiv:1409.1556; as a U-Net: Iglovikov and Shvets 2018, arXiv:1801.05746.
    """
    return UNetConfig(ndim=ndim, widths=(64, 128, 256, 512, 512), block=BATCH_RELU, encoder="vgg16")


def deep(ndim: Dim) -> UNetConfig:
    """Five poolings, from 32 channels to 1024. Source: Ronneberger et al. 2015, arXiv:1505.04597, one level deeper."""
    return UNetConfig(ndim=ndim, widths=(32, *WIDE), block=BATCH_RELU)


def nnunet_2d(ndim: Dim) -> UNetConfig:
    """Eight levels from 32 to 512 channels; 46,324,558 parameters (1 channel, 2 classes).

    Source: Isensee et al. 2021, doi:10.1038/s41592-020-01008-z, for patches of 512 x 512.
    """
    return nnunet(ndim, (32, 64, 128, 256, 512, 512, 512, 512))


def nnunet_3d(ndim: Dim) -> UNetConfig:
    """Six levels from 32 to 320 channels; 31,195,594 parameters (1 channel, 2 classes).

    Source: Isensee et al. 2021, doi:10.1038/s41592-020-01008-z, for patches of 128 x 128 x 128.
    """
    return nnunet(ndim, (32, 64, 128, 256, 320, 320))


def nnunet(ndim: Dim, widths: tuple[int, ...]) -> UNetConfig:
    """Two convolutions with instance norm per level, strided on the way down; heads on all decoder levels."""
    return UNetConfig(ndim=ndim, widths=widths, block=NNUNET_BLOCK, down="stride", deep_supervision=True)


def resenc_m(ndim: Dim) -> UNetConfig:
    """Residual blocks in the encoder and a lighter decoder; 102,349,770 parameters (1 channel, 2 classes).

    Source: Isensee et al. 2024, arXiv:2404.09556, "nnU-Net ResEnc M".
    """
    block = NNUNET_BLOCK.model_copy(update={"residual": True})
    decoder = DecoderConfig(convs=1, residual=False)
    changes = {"block": block, "repeats": (1, 3, 4, 6, 6, 6), "decoder": decoder}
    return nnunet_3d(ndim).model_copy(update=changes)


def se(ndim: Dim) -> UNetConfig:
    """Blocks that end by reweighting their channels. Source: Hu et al. 2018, arXiv:1709.01507."""
    return attended(ndim, "se")


def cbam(ndim: Dim) -> UNetConfig:
    """Blocks that reweight channels, then voxels. Source: Woo et al. 2018, arXiv:1807.06521."""
    return attended(ndim, "cbam")


def scse(ndim: Dim) -> UNetConfig:
    """Blocks that reweight channels and voxels side by side. Source: Roy et al. 2018, arXiv:1803.02579."""
    return attended(ndim, "scse")


def attended(ndim: Dim, attention: str) -> UNetConfig:
    """Blocks that end in an attention of `nets.attention`."""
    block = BATCH_RELU.model_copy(update={"attention": attention})
    return UNetConfig(ndim=ndim, widths=MIDDLING, block=block)


def self_attention(ndim: Dim) -> UNetConfig:
    """Self-attention at the bottleneck. Source: Zhang et al. 2019, arXiv:1805.08318."""
    return UNetConfig(ndim=ndim, widths=MIDDLING, block=BATCH_RELU, bottleneck="attention")


def transunet(ndim: Dim) -> UNetConfig:
    """A residual encoder, ViT-Base at a sixteenth of the resolution, the usual decoder.

    Source: Chen et al. 2021, arXiv:2102.04306; its encoder is the ResNet-50 of R50-ViT.
    """
    vit = TransformerConfig(width=768, depth=12, heads=12, hidden=3072, grid=14 if ndim == 2 else 8)
    block, decoder = BATCH_RELU.model_copy(update={"residual": True}), DecoderConfig(residual=False)
    return UNetConfig(
        ndim=ndim, widths=MIDDLING, block=block, decoder=decoder, bottleneck="transformer", transformer=vit, up="linear"
    )


def fusion(ndim: Dim) -> UNetConfig:
    """The head sees the sum of all decoder levels. Source: Kirillov et al. 2019, arXiv:1901.02446, fig. 3."""
    return UNetConfig(ndim=ndim, widths=MIDDLING, block=BATCH_RELU, fusion="sum")


def pyramid(ndim: Dim) -> UNetConfig:
    """Skips come from a top-down additive pyramid. Source: Lin et al. 2017, arXiv:1612.03144."""
    return UNetConfig(ndim=ndim, widths=MIDDLING, block=BATCH_RELU, fusion="pyramid")


def tiny(ndim: Dim) -> UNetConfig:
    """For laptops and tests: trains in minutes on two cores.

    Source: Ronneberger et al. 2015, arXiv:1505.04597, with fewer channels, padding and instance norm.
    """
    return UNetConfig(ndim=ndim, widths=(8, 16, 32, 64))


def pretrained_encoder(encoder: str) -> UNetConfig:
    """A network of timm as encoder, five halvings deep. Source: Wightman 2019, doi:10.5281/zenodo.4414861."""
    widths = (16, 32, 64, 128, 256, 512)
    return UNetConfig(widths=widths, block=BATCH_RELU, encoder=encoder, up="nearest")


@dataclass(frozen=True)
class Preset:
    """A named network.

    Attributes:
        dims: the numbers of spatial axes it exists in, the usual one first.
    """

    make: Callable[[Dim], UNetConfig]
    dims: tuple[Dim, ...] = (2, 3)


PRESETS: dict[str, Preset] = {
    "unet-2015": Preset(unet_2015),
    "unet-bn": Preset(unet_bn),
    "unet-bn-bilinear": Preset(unet_bn_bilinear),
    "unet-3d": Preset(unet_3d, (3,)),
    "attention-2d": Preset(attention_2d, (2,)),
    "attention-3d": Preset(attention_3d, (3,)),
    "vgg16": Preset(vgg16, (2,)),
    "deep": Preset(deep),
    "nnunet-2d": Preset(nnunet_2d, (2,)),
    "nnunet-3d": Preset(nnunet_3d, (3,)),
    "resenc-m": Preset(resenc_m, (3, 2)),
    "se": Preset(se),
    "cbam": Preset(cbam),
    "scse": Preset(scse),
    "self-attention": Preset(self_attention),
    "transunet": Preset(transunet),
    "fusion": Preset(fusion),
    "pyramid": Preset(pyramid),
    "tiny": Preset(tiny),
}
