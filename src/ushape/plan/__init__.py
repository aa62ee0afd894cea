"""DATA SET -> RECIPE: facts are taken, rules decide, the recipe writes each choice out with its reason."""
