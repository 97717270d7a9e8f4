/* The copies of a view: offers, switches, and readers while one switch follows the other. With an
 * argument: so many switches. */
#include <dirent.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "calc/outcome.h"
#include "random.h"
#include "scratch.h"
#include "store/view.h"
#include "tap.h"

enum { SWITCHES = 300, READERS = 3 };

static struct error error;
static const struct id value_id = {{0x01, 0x93, 15}};

static int apply(struct view *view, uint64_t first, uint64_t last)
{
    struct view_txn *txn;

    if (view_begin(view, &txn, &error) < 0)
        return -1;
    for (uint64_t version = first; version <= last; version++) {
        struct outcome event = {.action = version == 1 ? ACTION_CREATE : ACTION_ADD,
                                .value_id = value_id,
                                .parent = {{(uint8_t)(version >> 8), (uint8_t)version}},
                                .value = 1,
                                .version = version,
                                .result = (double)version,
                                .timestamp = TIMESTAMP_NONE};
        outcome_derive_id(&value_id, &event.parent, &event.id);
        if (view_apply_event(txn, &event, 0, version, &error) != 1) {
            view_abort(txn);
            return -1;
        }
    }
    return view_commit(view, txn, &error);
}

static uint64_t version_in(struct view *view)
{
    struct view_value value = {0};
    struct view_txn *txn;

    if (view_snapshot(view, &txn, &error) < 0)
        return UINT64_MAX;
    if (view_get_value(txn, &value_id, &value, &error) < 0)
        value.value.version = UINT64_MAX;
    view_abort(txn);
    return value.value.version;
}

/* How many copies are in the folder. */
static int copies(const char *folder)
{
    DIR *names = opendir(folder);
    struct dirent *entry;
    int count = 0;

    while (names && (entry = readdir(names)))
        count += strspn(entry->d_name, "0123456789") == strlen(entry->d_name);
    if (names)
        closedir(names);
    return count;
}

/* --- offers --- */

static void test_offer(void)
{
    struct view *view, *copy, *second, *taken;

    view_create("offered", &view, &error);
    apply(view, 1, 2);
    ok(view_take_offer(view, &taken, &error) == 0, "where nothing is offered there is nothing to take");
    ok(view_rebuild("offered", &copy, &error) == 0 && apply(copy, 1, 3) == 0,
       "a copy is made beside the view in use");
    ok(view_rebuild("offered", &second, &error) < 0 && error.status == EX_TEMPFAIL,
       "by one process at a time");
    view_tidy(view);
    ok(copies("offered") == 2 && version_in(view) == 2, "and changes nothing in that one");
    ok(view_offer(copy, &error) == 0 && view_offered(copy) == VIEW_OFFERED, "it is offered");
    ok(view_take_offer(view, &taken, &error) == 1 && version_in(taken) == 3,
       "the projector opens it");
    view_refuse(view, taken);
    ok(view_offered(copy) == VIEW_REFUSED, "can refuse it,");
    ok(view_withdraw(copy, &error) == 0 && view_offer(copy, &error) == 0 &&
           view_take_offer(view, &taken, &error) == 1 && view_switch(view, taken, &error) == 0 &&
           view_offered(copy) == VIEW_TAKEN,
       "or take it over");
    ok(apply(taken, 4, 4) == 0 && version_in(taken) == 4, "and goes on in it");
    ok(view_claim("offered", &second, &error) < 0 && error.status == EX_TEMPFAIL,
       "as the projector that it is");
    view_close(copy);
    view_close(taken);
    view_create("offered", &view, &error);
    ok(version_in(view) == 4 && copies("offered") == 1, "which the next one finds, and nothing else");
    view_close(view);
}

static void test_discard(void)
{
    struct view *view, *copy;

    view_create("discarded", &view, &error);
    view_rebuild("discarded", &copy, &error);
    view_discard(copy);
    view_discard(NULL);
    ok(copies("discarded") == 1, "a copy that is given up is gone");
    view_rebuild("discarded", &copy, &error);
    view_offer(copy, &error);
    view_close(copy); /* as if it died */
    view_close(view);
    view_create("discarded", &view, &error);
    ok(copies("discarded") == 2, "one that is offered outlives who made it");
    view_rebuild("discarded", &copy, &error);
    ok(copies("discarded") == 2, "until another one is made");
    ok(view_switch(view, copy, &error) == 0 && copies("discarded") == 1,
       "after a switch the old one is gone");
    view_close(copy);
}

/* --- readers --- */

struct shared {
    volatile uint64_t least; /* the version that every reader has to see by now */
    volatile int over;
    volatile uint64_t looks;
};

/* In a process of its own. Its exit status tells what was wrong. */
static int read_on(struct shared *shared, bool anew)
{
    struct view *view = NULL;

    for (uint64_t last = 0; !shared->over;) {
        uint64_t least = shared->least, version;
        if (view_refresh("read", &view, &error) < 0) {
            fprintf(stderr, "# %s\n", error.text);
            return 1;
        }
        version = version_in(view);
        if (version == UINT64_MAX || version < least || version < last)
            return version == UINT64_MAX ? 2 : 3;
        last = version;
        __atomic_add_fetch(&shared->looks, 1, __ATOMIC_RELAXED);
        if (anew) {
            view_close(view);
            view = NULL;
        }
    }
    view_close(view);
    return 0;
}

static void test_readers(uint64_t switches)
{
    struct shared *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
                                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct view *view, *copy;
    pid_t child[READERS];
    int bad = 0, most = 0;

    view_create("read", &view, &error);
    apply(view, 1, 1);
    view_close(view);
    shared->least = 1;
    for (int i = 0; i < READERS; i++) {
        child[i] = fork();
        if (child[i] == 0)
            exit(read_on(shared, i > 0));
    }
    view_create("read", &view, &error);
    for (uint64_t i = 1; !bad && i <= switches; i++) {
        int now = copies("read");
        bad += wrong(view_rebuild("read", &copy, &error) == 0 && apply(copy, 1, i + 1) == 0 &&
                         view_switch(view, copy, &error) == 0,
                     "switch %d: %s", (int)i, error.text);
        view = copy;
        shared->least = i + 1;
        most = now > most ? now : most;
    }
    ok(!bad, "%d switches follow each other", (int)switches);
    shared->over = 1;
    for (int i = 0; i < READERS; i++) {
        int status;
        waitpid(child[i], &status, 0);
        bad += wrong(status == 0, "reader %d: status %x", i, (unsigned)status);
    }
    ok(!bad, "readers follow without an error, and see nothing go back");
    ok(shared->looks > switches, "and they looked on");
    printf("# %llu looks, at most %d copies\n", (unsigned long long)shared->looks, most);
    view_close(view);
    view_create("read", &view, &error);
    ok(copies("read") == 1, "no old copy stays");
    view_close(view);
}

int main(int argc, char **argv)
{
    scratch_enter();
    test_readers(argc > 1 ? strtoull(argv[1], NULL, 10) : (uint64_t)some(SWITCHES)); /* before any is open here */
    test_offer();
    test_discard();
    return tap_done();
}
