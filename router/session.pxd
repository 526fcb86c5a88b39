# The C types of session.py: the locals of the loop that every command of every client passes.

import cython
