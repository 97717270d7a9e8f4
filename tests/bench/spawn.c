/* spawn COUNT PROGRAM [ARGUMENT]...: starts a program that often, one after the other, its stdout
 * on /dev/null, and prints what one start and end took; microseconds. A shell would measure its
 * own fork. */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

static double now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

int main(int argc, char **argv)
{
    extern char **environ;
    posix_spawn_file_actions_t actions;
    int count = argc > 2 ? atoi(argv[1]) : 0;
    double begin;

    if (count < 1) {
        fputs("usage: spawn COUNT PROGRAM [ARGUMENT]...\n", stderr);
        return 64;
    }
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    begin = now_us();
    for (int i = 0; i < count; i++) {
        int status;
        pid_t child;
        if (posix_spawn(&child, argv[2], &actions, NULL, argv + 2, environ) != 0 ||
            waitpid(child, &status, 0) < 0 || status != 0) {
            fprintf(stderr, "spawn: %s failed\n", argv[2]);
            return 1;
        }
    }
    printf("%.1f\n", (now_us() - begin) / count);
    return 0;
}
