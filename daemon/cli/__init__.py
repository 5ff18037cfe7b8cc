"""The command line: words in, words out; all the work is done elsewhere.

A wrong configuration ends with 2 and a line for each fault; no traceback reaches a user. What can be handed over to a
running daemon goes through `daemon.control`.

Who may enter: __main__.
"""
