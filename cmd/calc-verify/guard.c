#include "guard.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

static char message[4200];
static volatile sig_atomic_t entered;

/* Pages behind the end of a file (SIGBUS), pointers that lead nowhere, or an assertion of the library. */
static void on_crash(int number)
{
    if (!entered) {
        signal(number, SIG_DFL);
        raise(number);
        return;
    }
    if (write(STDERR_FILENO, message, strlen(message)) < 0) {
        /* the status tells */
    }
    _exit(EX_DATAERR);
}

void guard_enter(const char *store, const char *folder)
{
    static const char *last;
    static const int numbers[] = {SIGBUS, SIGSEGV, SIGABRT};
    struct sigaction action = {.sa_handler = on_crash, .sa_flags = SA_NODEFER};

    if (!message[0])
        for (int i = 0; i < 3; i++)
            sigaction(numbers[i], &action, NULL);
    if (folder != last)
        snprintf(message, sizeof message,
                 "calc-verify: the %s in %.4000s: it is damaged: its pages can't be read\n", store,
                 folder);
    last = folder;
    entered = 1;
}

void guard_leave(void)
{
    entered = 0;
}
