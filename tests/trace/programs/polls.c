/* poll, select and their relatives. */
#include "calls.h"
#include <poll.h>
#include <sys/select.h>

static int ends[2], full[2];
static fd_set r, w, x;

static void sets(void) {
    FD_ZERO(&r);
    FD_ZERO(&w);
    FD_ZERO(&x);
    FD_SET(ends[0], &r);
    FD_SET(full[0], &r);
    FD_SET(ends[1], &w);
    FD_SET(ends[0], &x);
}

int main(void) {
    struct timespec none = {0, 0}, some = {0, 5000000}, wrong = {0, -1}, far = {100, 0};
    struct timeval tv = {0, 0}, tiny = {0, 1};
    uint64_t mask = BIT(SIGUSR1) | BIT(SIGTERM);
    struct { uint64_t *set; size_t size; } with = {&mask, 8}, bad = {&mask, 4}, null = {NULL, 8};
    sys(pipe, ends);
    sys(pipe, full);
    sys(write, full[1], "x", 1);
    struct pollfd fds[4] = {{ends[0], POLLIN}, {ends[1], POLLOUT}, {full[0], POLLIN | POLLPRI | POLLRDNORM | POLLRDHUP}, {-1, -1}};
    sys(poll, fds, 4, 0);
    sys(poll, fds, 1, 0);
    sys(poll, fds, 1, 5);
    sys(poll, NULL, 0, 1);
    sys(poll, NULL, 2, 0);
    sys(poll, BAD, 2, 0);
    struct pollfd closed[2] = {{99, POLLIN}, {98, 0x4000}};
    sys(poll, closed, 2, -1);
    struct pollfd many[40];
    for (int i = 0; i < 40; i++) many[i] = (struct pollfd){full[0], POLLIN};
    sys(poll, many, 40, -1);
    struct pollfd *half = edge(12);
    half[0] = fds[2];
    sys(poll, half, 2, 0);
    sys(ppoll, fds, 2, &some, NULL, 8);
    some.tv_nsec = 2000000;
    sys(ppoll, fds, 1, &some, &mask, 8);
    some.tv_nsec = 2000000;
    sys(ppoll, fds, 1, &none, &mask, 8);
    sys(ppoll, fds, 1, &wrong, NULL, 8);
    sys(ppoll, fds, 1, &none, &mask, 4);
    sys(ppoll, fds + 2, 1, NULL, BAD, 8);
    sys(ppoll, fds, 1, BAD, NULL, 8);

    sets(), sys(select, 8, &r, &w, &x, &tv);
    sets(), sys(select, 8, &r, NULL, NULL, NULL);
    sets(), sys(select, ends[0] + 1, &r, NULL, NULL, &tv);
    tv = (struct timeval){0, 2000};
    sets(), sys(select, ends[0] + 1, &r, NULL, NULL, &tv);
    tv = (struct timeval){100, 0};
    sets(), sys(select, 8, &r, &w, NULL, &tv);
    tv = (struct timeval){0, -1};
    sys(select, 0, NULL, NULL, NULL, &tv);
    sys(select, -1, NULL, NULL, NULL, NULL);
    sys(select, 8, BAD, NULL, NULL, NULL);
    sys(select, 8, NULL, NULL, NULL, BAD);
    FD_ZERO(&r);
    FD_SET(40, &r);
    sys(select, 41, &r, NULL, NULL, NULL);
    FD_ZERO(&r);
    sys(select, 100, &r, &r, &r, &tiny);
    sets(), sys(pselect6, 8, &r, &w, NULL, &none, NULL);
    sets(), sys(pselect6, ends[0] + 1, &r, NULL, NULL, &some, &with);
    sys(pselect6, 0, NULL, NULL, NULL, &none, &bad);
    sys(pselect6, 0, NULL, NULL, NULL, &none, &null);
    sys(pselect6, 0, NULL, NULL, NULL, &wrong, NULL);
    sys(pselect6, 0, NULL, NULL, NULL, BAD, BAD);
    sets(), sys(pselect6, 8, &r, NULL, NULL, &far, &with);
    return 0;
}
