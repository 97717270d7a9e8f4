#include "stream/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "random.h"
#include "scratch.h"
#include "tap.h"

/* These stand before the C library's, so that a disk can fail on demand. */
static int fail_sync, fail_truncate; /* so many calls, from the next one on */
static const char *intruder;         /* what somebody else appends during a sync */

static void intrude(void)
{
    int other = open("log", O_WRONLY | O_APPEND);

    if (write(other, intruder, strlen(intruder)) < 0)
        abort();
    close(other);
}

int fdatasync(int fd)
{
    int result = fail_sync ? -1 : (int)syscall(SYS_fdatasync, fd);

    if (intruder)
        intrude();
    if (fail_sync)
        fail_sync--;
    errno = EIO;
    return result;
}

int ftruncate(int fd, off_t length)
{
    if (!fail_truncate)
        return (int)syscall(SYS_ftruncate, fd, length);
    fail_truncate--;
    errno = EIO;
    return -1;
}

static char content[1 << 20];

static const char *read_log(const char *path)
{
    FILE *file = fopen(path, "r");
    size_t len = file ? fread(content, 1, sizeof content - 1, file) : 0;

    content[len] = '\0';
    if (file)
        fclose(file);
    return content;
}

static void write_log(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    fputs(text, file);
    fclose(file);
}

/* Whether somebody else could lock the log now. */
static bool is_free(const char *path)
{
    int fd = open(path, O_RDONLY);
    bool taken = flock(fd, LOCK_EX | LOCK_NB) < 0;

    close(fd);
    return !taken;
}

/* What log_append() says, and where. */
static struct {
    int result;
    uint64_t offset, cut;
    struct error error;
} said;

static int append(struct log *log, const char *text)
{
    said.error = (struct error){0};
    said.offset = said.cut = 4711;
    said.result = log_append(log, text, strlen(text), &said.offset, &said.cut, &said.error);
    return said.result;
}

static void test_append(void)
{
    struct error error;
    struct log log;

    unlink("log");
    ok(log_open(&log, "log", &error) == 0 && access("log", F_OK) == 0,
       "a log that isn't there is made");
    ok(append(&log, "one\n") == 0 && said.offset == 0 && said.cut == 0 &&
           append(&log, "two\nthree\n") == 0 && said.offset == 4 && said.cut == 0,
       "appending tells where a batch begins");
    ok(strcmp(read_log("log"), "one\ntwo\nthree\n") == 0, "batches stand behind each other");
    ok(is_free("log"), "and the lock is free again");
    log_close(&log);
    log_open(&log, "log", &error);
    ok(append(&log, "four\n") == 0 && said.offset == 14, "so they do after it was opened again");
    log_close(&log);
    log_close(&log);
    ok(log_open(&log, "no/folder/log", &error) < 0 && error.status == EX_IOERR,
       "a log in no folder can't be opened");
    mkdir("folder", 0777);
    ok(log_open(&log, "folder", &error) < 0 && error.status == EX_IOERR, "nor can a folder");
    mkfifo("fifo", 0666);
    ok(log_open(&log, "fifo", &error) < 0 && error.status == EX_IOERR, "nor a pipe");
    ok(log_open(&log, "/dev/null", &error) < 0 && error.status == EX_IOERR, "nor a device");
}

static void test_writers(void)
{
    enum { WRITERS = 4, BATCHES = 50 };
    struct error error;
    struct log log[2];
    int bad = 0, lines = 0;
    uint64_t end = 0;

    unlink("log");
    for (int writer = 0; writer < WRITERS; writer++)
        if (fork() == 0) {
            char batch[64];
            log_open(&log[0], "log", &error);
            for (int i = 0; i < BATCHES; i++) {
                int len = snprintf(batch, sizeof batch, "%d.%d\n%d.%d\n", writer, i, writer, i);
                if (log_append(&log[0], batch, (size_t)len, &said.offset, &said.cut, &error) < 0)
                    _exit(1);
            }
            _exit(0);
        }
    for (int writer = 0; writer < WRITERS; writer++) {
        int status;
        wait4(-1, &status, 0, NULL);
        bad += status != 0;
    }
    read_log("log");
    for (char *line = strtok(content, "\n"), *next; line; line = strtok(NULL, "\n"), lines++) {
        next = strtok(NULL, "\n");
        bad += wrong(next && strcmp(line, next) == 0, "%s is torn apart", line);
    }
    ok(!bad && lines == WRITERS * BATCHES, "four processes append, and no batch is torn or lost");
    log_open(&log[0], "log", &error);
    log_open(&log[1], "log", &error);
    bad = 0;
    for (int i = 0; i < 10; i++) {
        append(&log[i % 2], "xyz\n");
        bad += i && said.offset != end;
        end = said.offset + 4;
    }
    ok(!bad, "two who have it open take turns");
    log_close(&log[0]);
    log_close(&log[1]);
}

static void test_torn(void)
{
    struct error error;
    struct log log;
    char text[200001];

    write_log("log", "one\ntw");
    log_open(&log, "log", &error);
    ok(append(&log, "three\n") == 0 && said.offset == 4 && said.cut == 2 &&
           strcmp(read_log("log"), "one\nthree\n") == 0,
       "a torn tail is cut off before, and its length told");
    log_close(&log);
    write_log("log", "torn");
    log_open(&log, "log", &error);
    ok(append(&log, "one\n") == 0 && said.offset == 0 && said.cut == 4 &&
           strcmp(read_log("log"), "one\n") == 0,
       "a log that is nothing but a torn tail begins anew");
    log_close(&log);
    int bad = 0;
    for (size_t tail = 65530; tail < 200000; tail += 65530 + tail % 7) {
        memset(text, 'x', tail);
        text[0] = '\n';
        text[tail] = '\0';
        write_log("log", text);
        log_open(&log, "log", &error);
        bad += wrong(append(&log, "end\n") == 0 && said.offset == 1 && said.cut == tail - 1 &&
                         strcmp(read_log("log"), "\nend\n") == 0,
                     "a tail of %zu bytes", tail - 1);
        log_close(&log);
    }
    ok(!bad, "so is a long one");
}

static void test_extent(void)
{
    struct random random = {1};
    static char text[300000];
    int bad = 0, fd = open("extent", O_RDWR | O_CREAT, 0666);

    for (int i = 0; i < 300; i++) {
        size_t len = random_below(&random, i % 3 ? 100 : sizeof text), end = 0, known = 0;
        struct file_status status;
        uint64_t found;
        memset(text, 'x', len);
        for (uint64_t newlines = random_below(&random, 4); len && newlines; newlines--)
            text[random_below(&random, len)] = '\n';
        for (size_t at = 0; at < len; at++)
            if (text[at] == '\n') {
                end = at + 1;
                known = random_below(&random, 2) ? end : known;
            }
        if (ftruncate(fd, 0) < 0 || pwrite(fd, text, len, 0) != (ssize_t)len)
            bad++;
        bad += wrong(log_extent(fd, known, &status, &found) == 0 && status.size == len && found == end,
                     "of %zu bytes %zu are lines, not %llu", len, end, (unsigned long long)found);
    }
    close(fd);
    ok(!bad, "the end of the last whole line is found from behind");
}

static void test_full(void)
{
    struct rlimit old, small;
    struct error error;
    struct log log;
    char batch[1001];

    memset(batch, 'x', 1000);
    batch[999] = '\n';
    batch[1000] = '\0';
    write_log("log", "one\ntwo\n");
    log_open(&log, "log", &error);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    small = (struct rlimit){.rlim_cur = 500, .rlim_max = old.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
    int result = append(&log, batch);
    int status = said.error.status;
    bool same = strcmp(read_log("log"), "one\ntwo\n") == 0;
    bool unlocked = is_free("log");
    int again = append(&log, "three\n");
    setrlimit(RLIMIT_FSIZE, &old);
    ok(result < 0 && status == EX_IOERR && again == 0, "what doesn't fit is an error");
    ok(same && unlocked, "and leaves the log as it was, and free");
    ok(strcmp(read_log("log"), "one\ntwo\nthree\n") == 0 && said.offset == 8,
       "what fits can be appended then");
    write_log("log", "one\ntorn");
    setrlimit(RLIMIT_FSIZE, &small);
    result = append(&log, batch);
    setrlimit(RLIMIT_FSIZE, &old);
    ok(result < 0 && said.error.status == EX_IOERR && strcmp(read_log("log"), "one\n") == 0,
       "a torn tail is cut off even then");
    log_close(&log);
}

static void test_sync(void)
{
    struct error error;
    struct log log;

    write_log("log", "one\n");
    log_open(&log, "log", &error);
    fail_sync = 1;
    ok(append(&log, "two\n") < 0 && said.error.status == EX_IOERR &&
           strcmp(read_log("log"), "one\n") == 0 && is_free("log"),
       "after a failed sync the batch is cut off again");
    ok(append(&log, "three\n") == 0 && said.offset == 4 &&
           strcmp(read_log("log"), "one\nthree\n") == 0,
       "and the next one can be appended");
    fail_truncate = 1;
    write_log("log", "one\ntorn");
    ok(append(&log, "two\n") < 0 && strcmp(read_log("log"), "one\ntorn") == 0 && !log.poisoned &&
           is_free("log"),
       "nothing is written behind a torn tail that can't be cut off");
    log_close(&log);
}

static bool is_synced_to(const char *path, uint64_t size)
{
    int fd = open(path, O_RDONLY);
    bool result = log_is_synced(fd, size);

    close(fd);
    return result;
}

static bool is_synced(const char *path)
{
    struct file_status status;

    return file_status_at(AT_FDCWD, path, &status) == 0 && is_synced_to(path, status.size);
}

/* Whether the log isn't taken for synced by who sees that somebody has locked all its bytes. */
static bool locks_all(const char *path)
{
    struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd = open(path, O_RDWR);
    bool result = fcntl(fd, F_OFD_SETLK, &all) == 0 && !is_synced(path);

    close(fd);
    return result;
}

/* `synced`: what is said where it can be said what is durable. */
static void test_mark(void)
{
    struct log log, other;
    struct error error;
    bool synced;

    write_log("log", "one\n");
    log_open(&log, "log", &error);
    synced = log.marks;
    ok(!is_synced("log"), "what somebody wrote isn't known to be durable");
    ok(locks_all("log"), "nor does a lock on all of it say so");
    append(&log, "two\n");
    ok(is_synced("log") == synced, "what a writer has synced is, with all that was before");
    append(&log, "three\n");
    ok(is_synced("log") == synced && !is_synced_to("log", 8), "after each append, and as it is then");

    log_open(&other, "log", &error);
    append(&other, "four\n");
    ok(is_synced("log") == synced, "of several writers the last one counts");
    log_close(&other);
    ok(!is_synced("log"), "as long as it has the log open");

    append(&log, "five\n");
    intruder = "six\n";
    intrude();
    ok(!is_synced("log"), "what somebody adds isn't durable");
    append(&log, "seven\n");
    ok(!is_synced("log"), "nor what is added during a writer's sync");
    intruder = NULL;
    fail_sync = fail_truncate = 1;
    append(&log, "eight\n");
    ok(!is_synced("log"), "nor what is there after a sync that failed");
    log_close(&log);
    log_open(&log, "log", &error);
    append(&log, "nine\n");
    ok(is_synced("log") == synced, "but what the next one has synced");
    log_close(&log);
}

static void poison(struct log *log, int syncs, int truncates, const char *wanted,
                   const char *sentence)
{
    struct error error;

    write_log("log", "one\n");
    log_open(log, "log", &error);
    fail_sync = syncs;
    fail_truncate = truncates;
    ok(append(log, "two\n") < 0 && said.error.status == EX_IOERR && log->poisoned &&
           strcmp(read_log("log"), wanted) == 0,
       "%s", sentence);
    fail_sync = fail_truncate = 0;
    intruder = NULL;
    bool locked = !is_free("log");
    bool refused = append(log, "three\n") < 0 && said.error.status == EX_IOERR;
    ok(locked && refused && strcmp(read_log("log"), wanted) == 0,
       "it stays locked, and nothing more is appended");
    log_close(log);
    ok(is_free("log"), "until it is closed");
}

static void test_poison(void)
{
    struct log log;

    intruder = "mine\n";
    poison(&log, 1, 0, "one\ntwo\nmine\n",
           "a log that somebody else appended to behind a failed batch is left alone");
    poison(&log, 1, 1, "one\ntwo\n", "a log that can't be cut back has no known end");
    poison(&log, 2, 0, "one\n", "nor has one whose cutting back can't be synced");
}

static void test_replaced(void)
{
    struct error error;
    struct log log;

    write_log("log", "one\n");
    log_open(&log, "log", &error);
    rename("log", "old");
    ok(append(&log, "two\n") < 0 && said.error.status == EX_IOERR,
       "a log that is gone is an error");
    write_log("log", "other\n");
    ok(append(&log, "two\n") < 0 && strcmp(read_log("old"), "one\n") == 0 &&
           strcmp(read_log("log"), "other\n") == 0,
       "so is one that was replaced, and neither is written to");
    rename("old", "log");
    ok(append(&log, "two\n") == 0, "until it is back");
    log_close(&log);
}

static volatile sig_atomic_t patience; /* signals until the wait is given up */

static void on_alarm(int number)
{
    (void)number;
    if (patience)
        patience--;
}

static bool out_of_patience(void)
{
    return !patience;
}

static void test_give_up(void)
{
    const struct itimerval often = {{0, 10000}, {0, 10000}}, never = {{0, 0}, {0, 0}};
    struct sigaction action = {.sa_handler = on_alarm}; /* without SA_RESTART */
    struct error error;
    struct log log;
    int holder;

    write_log("log", "one\n");
    log_open(&log, "log", &error);
    log.give_up = out_of_patience;
    holder = open("log", O_RDONLY);
    flock(holder, LOCK_EX);
    sigaction(SIGALRM, &action, NULL);
    patience = 3;
    setitimer(ITIMER_REAL, &often, NULL);
    int result = append(&log, "two\n");
    setitimer(ITIMER_REAL, &never, NULL);
    ok(result < 0 && said.error.status == EX_TEMPFAIL && !patience && !log.poisoned &&
           strcmp(read_log("log"), "one\n") == 0,
       "a wait for the lock goes on after a signal until it is given up, and nothing was done");
    close(holder);
    ok(append(&log, "two\n") == 0 && strcmp(read_log("log"), "one\ntwo\n") == 0,
       "the next append finds it free");
    log_close(&log);
}

static void test_cut(void)
{
    struct error error;
    struct log log;
    uint64_t cut;

    write_log("log", "one\ntwo\nthree\nto");
    log_open(&log, "log", &error);
    ok(log_cut(&log, 8, &cut, &error) == 0 && cut == 8 &&
           strcmp(read_log("log"), "one\ntwo\n") == 0,
       "what stands behind an end is cut off");
    fail_truncate = 1;
    ok(log_cut(&log, 4, &cut, &error) < 0 && error.status == EX_IOERR, "a cut that fails is told");
    fail_sync = 1;
    ok(log_cut(&log, 4, &cut, &error) < 0 && error.status == EX_IOERR,
       "and so is one that may not be durable");
    log_close(&log);
    unlink("log");
}

int main(void)
{
    scratch_enter();
    test_cut();
    test_append();
    test_writers();
    test_torn();
    test_extent();
    test_full();
    test_sync();
    test_mark();
    test_poison();
    test_replaced();
    test_give_up();
    return tap_done();
}
