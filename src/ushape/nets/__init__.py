"""TENSOR -> LOGITS: one U-Net family for two and three dimensions.

```
presets     names -> configs -> networks; the only place that knows numbers
config      the one config a network is built from
unet        the figure: encoder, bottleneck, decoder, heads
|- encoders     what reads the image: plain, VGG16, timm
|- transunet    the transformer at the bottleneck
|- decoder      one step up: grow, align, join, convolve
|  `- join          ways to grow, to align sizes, to join the skip
|- fusion       pyramids and sums over levels
`- blocks       convolution, norm, activation; plain and residual
   |- attention     to channels, voxels, skips
   |- norm          mean 0 and variance 1, fast
   |- grid          pad, crop, resize
   |- init          how weights start
   `- ndim          the 2D and the 3D layers
sizes       which sizes unpadded networks take
weights     weights from elsewhere
cost        the layer table; field, describe: what it is made of
```
"""
