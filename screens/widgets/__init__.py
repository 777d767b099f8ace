"""The pieces that several screens are made of."""
