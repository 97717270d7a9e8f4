#include "stream/log_look.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/histogram.h"
#include "base/lines.h"
#include "random.h"
#include "scratch.h"
#include "tap.h"

static struct random dice = {7};

/* What a log of lines has, as it was made. */
enum { MOST = 4000 };
static struct {
    uint64_t begin[MOST], end[MOST];
    bool blank[MOST];
    int count;
    uint64_t torn;
} made;

/* Lines of all lengths, those around a window's and a record's too, blank ones, and a torn tail. */
static void make(int count)
{
    struct buffer text = {0};
    int fd = open("log", O_WRONLY | O_CREAT | O_TRUNC, 0666);

    made.count = count;
    for (int i = 0; i < count; i++) {
        static const size_t lengths[] = {0,     1,      2,      200,    200,
                                         200,   200,    65535,  65536,  65537,
                                         LOG_LOOK_BYTES - 1, LOG_LOOK_BYTES, 3 * LOG_LOOK_BYTES + 7};
        size_t choice = random_below(&dice, count > 100 ? 7 : sizeof lengths / sizeof *lengths);
        size_t len = lengths[choice];
        char *at;
        made.blank[i] = random_below(&dice, 4) == 0 || !len;
        made.begin[i] = text.len;
        at = buffer_reserve(&text, len + 1);
        memset(at, made.blank[i] ? "\t \r"[random_below(&dice, 3)] : ' ', len);
        if (!made.blank[i])
            at[random_below(&dice, 2) ? len - 1 : 0] = 'x';
        at[len] = '\n';
        text.len += len + 1;
        made.end[i] = text.len;
    }
    made.torn = random_below(&dice, 3) * 100;
    for (uint64_t i = 0; i < made.torn; i++)
        buffer_append(&text, "y", 1);
    if (write(fd, text.data, text.len) != (ssize_t)text.len)
        printf("Bail out! can't write\n");
    close(fd);
    buffer_release(&text);
}

static uint64_t count_from(int first)
{
    uint64_t count = 0;

    for (int i = first; i < made.count; i++)
        count += !made.blank[i];
    return count;
}

static int check_line(const struct log_line *line, int i)
{
    uint64_t len = made.end[i] - made.begin[i] - 1;

    return wrong(line->begin == made.begin[i] && line->end == made.end[i], "line %d at %llu", i,
                 (unsigned long long)line->begin) +
           wrong(len > LINE_MAX_BYTES ? !line->data : line->data && line->len == len,
                 "line %d has its text", i) +
           wrong(!line->data || log_line_is_blank(line) == made.blank[i], "line %d is blank", i);
}

/* Back, forth, and counted from anywhere. */
static int check_log(struct log_look *look, struct error *error)
{
    uint64_t at = look->end, records, to;
    struct log_line line;
    int bad = 0, i;

    for (i = made.count; i > 0 && log_look_before(look, at, &line, error) == 0; at = line.begin)
        bad += check_line(&line, --i);
    bad += wrong(i == 0 && at == 0, "back to the beginning");
    for (i = 0; i < made.count && log_look_at(look, at, &line, error) == 0; at = line.end)
        bad += check_line(&line, i++);
    bad += wrong(i == made.count && at == look->end, "forth to the end");
    for (int times = 0; times < 20 && made.count; times++) {
        i = (int)random_below(&dice, (uint64_t)made.count);
        bad += wrong(log_look_count(look, made.begin[i], UINT64_MAX, &records, &to, error) == 0 &&
                         records == count_from(i) && to == look->end,
                     "counted from line %d", i);
        bad += wrong(log_look_at(look, made.begin[i], &line, error) == 0, "line %d", i) ||
               check_line(&line, i);
        i = (int)random_below(&dice, (uint64_t)made.count);
        bad += wrong(log_look_before(look, made.end[i], &line, error) == 0, "line %d", i) ||
               check_line(&line, i);
    }
    return bad;
}

static void test_lines(void)
{
    struct log_look look;
    struct error error;
    int bad = 0;

    for (int round = 0; round < often(100); round++) {
        make(round % 10 == 0 ? MOST : (int)random_below(&dice, 40));
        bad += wrong(log_look_open(&look, "log", &error) == 0, "it opens");
        bad += wrong(look.end == (made.count ? made.end[made.count - 1] : 0), "its end");
        bad += check_log(&look, &error);
        log_look_close(&look);
    }
    ok(bad == 0, "lines are found from any place, back and forth, and counted, whatever their length");
}

static void test_bound(void)
{
    uint64_t records, all = 0, to, at = 0;
    struct log_look look;
    struct error error;
    int turns = 0;

    make(MOST);
    log_look_open(&look, "log", &error);
    while (at < look.end && log_look_count(&look, at, 1, &records, &to, &error) == 0 && to > at) {
        all += records;
        at = to;
        turns++;
    }
    ok(at == look.end && all == count_from(0) && turns > 1,
       "a count that is bounded goes on where it ended");
    log_look_close(&look);
    ok(log_look_open(&look, "missing", &error) == 0 && look.end == 0 &&
           log_look_count(&look, 0, 1, &records, &to, &error) == 0 && records == 0 && to == 0,
       "a log that isn't there is empty");
    log_look_close(&look);
    ok(log_look_open(&look, ".", &error) < 0 && error.status == EX_IOERR, "a folder is no log");
}

static void test_histogram(void)
{
    struct histogram histogram = {0};
    struct histogram_reading reading;

    histogram_add(&histogram, 0);
    histogram_add(&histogram, 100);
    histogram_add(&histogram, 101);
    histogram_add(&histogram, 10000000);
    histogram_add(&histogram, 10000001);
    histogram_read(&histogram, &reading);
    ok(reading.up_to[0] == 2 && reading.up_to[1] == 3 && reading.up_to[HISTOGRAM_BOUNDS - 1] == 4 &&
           reading.up_to[HISTOGRAM_BOUNDS] == 5 && reading.sum_us == 20000202,
       "a histogram counts up to each bound, the bound included, and the sum");
}

int main(void)
{
    scratch_enter();
    test_lines();
    test_bound();
    test_histogram();
    return tap_done();
}
