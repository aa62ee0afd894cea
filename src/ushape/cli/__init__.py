"""The verbs: read options, call a workflow, print. No logic, and no torch before a verb needs it."""
