"""WHAT THE NET DOES: figures of it, drawn from its config.

```
diagram     config -> SVG: walks down the encoder and up the decoder
|- figure       the layer table, sorted into the levels of the U
|- layout       how sizes become pixels, how far apart levels stand
|- legend       what the marks mean, and the totals
`- svg          bars, arrows and words
```
"""
