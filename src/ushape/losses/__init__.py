"""(LOGITS, LABEL) -> SCALAR: Dice, cross-entropy, focal and Tversky, their weighted sum, deep supervision, gates.

Read in this order: `target` (bring the label onto the logits' grid), `terms` (the formulas), `compose` (the sum).
`balance` turns class frequencies into class weights, `gates` supervises attention gates.
"""
