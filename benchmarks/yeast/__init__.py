"""Yeast: the Random Promoter DREAM Challenge 2022."""
