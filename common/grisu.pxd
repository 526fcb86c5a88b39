# The C types of grisu.py: all that is reckoned with fits 64 bits.

import cython

cdef unsigned long long HIDDEN_BIT, LOW, DIVISOR_FIRST
cdef int FRACTION_BITS, EXPONENT_MIN, POWER_FIRST, POWER_STEP, POWER_BITS_MIN, POWER_BITS_MAX, INTEGER_DIGITS

@cython.locals(exponent=int, fraction="unsigned long long", upper="unsigned long long", lower="unsigned long long",
               middle="unsigned long long", place=int, power="unsigned long long", power_exponent=int)
cpdef tuple digits_of(double number)

@cython.locals(high_low="unsigned long long", low_high="unsigned long long", low_low="unsigned long long",
               middle="unsigned long long")
cdef unsigned long long product(unsigned long long one, unsigned long long other)

@cython.locals(unit="unsigned long long", whole="unsigned long long", rest="unsigned long long", left=int,
               divisor="unsigned long long", digits="unsigned long long", below="unsigned long long")
cdef tuple _digits(unsigned long long upper, unsigned long long width, unsigned long long distance, int point, int place)

@cython.locals(steps=int)
cdef int _steps(unsigned long long below, unsigned long long distance, unsigned long long width,
                unsigned long long step)
