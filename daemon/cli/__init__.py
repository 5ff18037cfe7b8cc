"""The command line: words in, words out; all the work is done elsewhere."""
