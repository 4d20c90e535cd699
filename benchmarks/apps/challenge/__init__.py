"""The Random Promoter DREAM Challenge: predict its test set, and write and draw the tables of a ranking."""
