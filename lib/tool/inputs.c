#include "tool/inputs.h"

#include <poll.h>

#include "tool/service.h"
#include "tool/stop.h"

void inputs_wait(struct reader *const *readers, int count)
{
    struct pollfd wait[4] = {{.fd = stop_fd(), .events = POLLIN}};

    for (int i = 0; i < count && i < 3; i++) {
        wait[i + 1].fd = readers[i] ? reader_fd(readers[i]) : -1;
        wait[i + 1].events = POLLIN;
    }
    service_alive();
    poll(wait, (nfds_t)(count + 1), 1000);
}
