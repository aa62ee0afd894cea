"""THE FLOW: one file per verb; each reads like a paragraph and leaves the work to the rooms."""
