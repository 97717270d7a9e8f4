/* Numbers: JSON's spelling to IEEE-754 doubles, and doubles to Python's repr(). */
#ifndef BASE_NUMBER_H
#define BASE_NUMBER_H

#include <stddef.h>

enum { NUMBER_TEXT = 32 }; /* room that number_write needs */

/* Reads the JSON number (RFC 8259) at the start of text; text[len] must be readable and go on with
 * nothing that strtod would take for part of a number. Returns how many characters it has; 0 if
 * none stands there or if it overflows a double. Correctly rounded; "-0" is -0.0. */
size_t number_read(const char *text, size_t len, double *number);

/* Writes a finite double with the fewest digits that read back to the same double, in the form of
 * Python's repr(): 7.0, 0.1, -0.0, 1e+16, 5e-324. Returns the length; no NUL. */
size_t number_write(double number, char *text);

#endif
