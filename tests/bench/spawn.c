/* How long a process takes from start to end: spawn COUNT PROGRAM ARGUMENT... prints the mean in
 * microseconds. */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

int main(int argc, char **argv)
{
    int count = argc > 2 ? atoi(argv[1]) : 0;
    posix_spawn_file_actions_t actions;
    struct timespec begin, end;

    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (int i = 0; i < count; i++) {
        int status;
        pid_t id;
        if (posix_spawn(&id, argv[2], &actions, NULL, argv + 2, environ) != 0 ||
            waitpid(id, &status, 0) < 0 || status != 0)
            return 1;
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    printf("%.1f\n", ((double)(end.tv_sec - begin.tv_sec) * 1e6 +
                      (double)(end.tv_nsec - begin.tv_nsec) / 1e3) / count);
    return 0;
}
