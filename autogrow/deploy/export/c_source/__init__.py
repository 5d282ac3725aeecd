"""A delivered net as one file of plain C99: no malloc, no files, weights in flash, two buffers; in float or in int8."""
