#include "calc/projection.h"

#include <stddef.h>

enum judgement projection_judge(uint64_t current, uint64_t version, struct allowance allowance)
{
    if (version <= current)
        return PROJECTION_KNOWN;
    if (version == current + 1 || allowance.any_next)
        return PROJECTION_APPLY;
    if (allowance.unplaced && *allowance.unplaced >= version - current - 1) {
        *allowance.unplaced -= version - current - 1;
        return PROJECTION_APPLY;
    }
    return PROJECTION_GAP;
}
