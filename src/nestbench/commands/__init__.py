"""Command-line commands, one file each.

A command reads its options, calls one function that users can import too, and prints. Heavy imports stay inside the
functions, so that ``--help`` and the shell's completion don't wait for NumPy.
"""
