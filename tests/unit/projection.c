#include "calc/projection.h"

#include "tap.h"

int main(void)
{
    static const struct {
        uint64_t current, version;
        bool any_next;
        int64_t unplaced, left; /* -1: nobody counts */
        enum judgement judgement;
        const char *sentence;
    } rows[] = {
        {0, 1, false, -1, -1, PROJECTION_APPLY, "the first event is applied"},
        {5, 6, false, -1, -1, PROJECTION_APPLY, "so is the next"},
        {5, 5, false, -1, -1, PROJECTION_KNOWN, "the last one again is known"},
        {5, 1, false, -1, -1, PROJECTION_KNOWN, "so is an earlier one"},
        {5, 7, false, -1, -1, PROJECTION_GAP, "one after the next leaves a gap"},
        {0, 2, false, -1, -1, PROJECTION_GAP, "so does a second one without a first"},
        {5, 7, false, 0, 0, PROJECTION_GAP, "no skips explain no gap"},
        {5, 7, false, 1, 0, PROJECTION_APPLY, "one skip of an unknown value explains one event"},
        {5, 9, false, 2, 2, PROJECTION_GAP, "two do not explain three, and none is used up"},
        {5, 9, false, 5, 2, PROJECTION_APPLY, "five do, and two are left"},
        {5, 6, false, 5, 5, PROJECTION_APPLY, "the next event takes none"},
        {5, 4, false, 5, 5, PROJECTION_KNOWN, "nor does a known one"},
        {5, 90, true, 5, 5, PROJECTION_APPLY, "after a skip of this value any later one is next"},
        {5, 90, true, -1, -1, PROJECTION_APPLY, "also where nobody counts"},
        {5, 5, true, 5, 5, PROJECTION_KNOWN, "but an earlier one is known even then"},
        {0, UINT64_MAX - 1, false, 5, 5, PROJECTION_GAP, "a gap can be as wide as can be"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t unplaced = (uint64_t)rows[i].unplaced;
        struct allowance allowance = {rows[i].any_next, rows[i].unplaced < 0 ? NULL : &unplaced};
        ok(projection_judge(rows[i].current, rows[i].version, allowance) == rows[i].judgement &&
               unplaced == (uint64_t)rows[i].left,
           "%s", rows[i].sentence);
    }
    return tap_done();
}
