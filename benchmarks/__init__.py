"""Speed of skgmmot beside its peers, and of one revision beside another."""
