# The C types of stream_log.py: writing an ID is a C call.

cpdef bytes id_text(id_)
