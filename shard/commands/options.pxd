# The C types of options.py: reckoning an expiry is a C call.

from common.numbers cimport integer


cpdef expire_at_ms(bytes unit, bytes time, now_ms, str name)
