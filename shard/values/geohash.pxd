# The C types of geohash.py: hashes as 64 bits, degrees and distances as C doubles.

cimport cython

cdef extern from "math.h":
    cpdef double asin(double x)
    cpdef double cos(double x)
    cpdef double fabs(double x)
    cpdef double sin(double x)
    cpdef double sqrt(double x)


@cython.locals(east=cython.double, north=cython.double)
cpdef unsigned long long hash_of(double longitude, double latitude, int step, double latitude_max) except? 0
cpdef unsigned long long score_of(double longitude, double latitude) except? 0
@cython.locals(
    bits=cython.ulonglong, west=cython.double, south=cython.double, east=cython.double, north=cython.double,
    longitude=cython.double, latitude=cython.double
)
cpdef tuple place_of(double score)
cdef unsigned long long _as_word(double score) except? 0
@cython.locals(south=cython.ulonglong, west=cython.ulonglong, parts=cython.double)
cpdef tuple bounds_of(unsigned long long bits, int step)
cpdef unsigned long long spread(unsigned long long number) except? 0
cpdef unsigned long long gathered(unsigned long long bits) except? 0
@cython.locals(v=cython.double, u=cython.double, radians1=cython.double, radians2=cython.double, half=cython.double)
cpdef double distance_m(double longitude1, double latitude1, double longitude2, double latitude2) except? -1.0
cpdef double latitude_distance_m(double latitude1, double latitude2) except? -1.0
