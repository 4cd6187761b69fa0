"""What an analyst sees and states: data sets, models, formulas and the columns made of them."""
