"""The gate that everything that acts goes through: what may be done, who said so, what was done."""
