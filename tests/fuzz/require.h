/* What every fuzzer ends with when something doesn't hold. */
#ifndef FUZZ_REQUIRE_H
#define FUZZ_REQUIRE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void __attribute__((noreturn)) fail(const char *problem)
{
    fprintf(stderr, "%s\n", problem);
    abort();
}

/* Fails unless the condition holds. */
#define require(condition, problem) ((condition) ? (void)0 : fail(problem))

#endif
