/* epoll and eventfd. */
#include "calls.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>

int main(void) {
    int ends[2];
    uint64_t value = 5, mask = BIT(SIGINT);
    struct epoll_event event = {EPOLLIN | EPOLLET, {.u32 = 7}}, got[8];
    struct timespec none = {0, 0}, some = {0, 1000000}, wrong = {0, 1000000000};
    memset(got, 0, sizeof got);
    sys(epoll_create, 10);
    sys(epoll_create, 0);
    sys(epoll_create1, EPOLL_CLOEXEC);
    sys(epoll_create1, 1);
    sys(pipe, ends);
    sys(epoll_ctl, 3, EPOLL_CTL_ADD, ends[0], &event);
    sys(epoll_ctl, 3, EPOLL_CTL_ADD, ends[0], &event);
    event = (struct epoll_event){EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP | EPOLLONESHOT | EPOLLWAKEUP, {.u64 = 0x123456789abcdef0}};
    sys(epoll_ctl, 3, EPOLL_CTL_MOD, ends[0], &event);
    event = (struct epoll_event){EPOLLOUT, {.u64 = 1}};
    sys(epoll_ctl, 3, EPOLL_CTL_ADD, ends[1], &event);
    sys(epoll_wait, 3, got, 8, 0);
    sys(write, ends[1], "x", 1);
    sys(epoll_wait, 3, got, 8, -1);
    sys(epoll_wait, 3, got, 1, 1);
    sys(epoll_ctl, 3, EPOLL_CTL_DEL, ends[1], NULL);
    sys(epoll_ctl, 3, EPOLL_CTL_DEL, 99, NULL);
    sys(epoll_ctl, 3, EPOLL_CTL_MOD, ends[1], &event);
    sys(epoll_ctl, 3, 9, ends[1], &event);
    sys(epoll_ctl, 3, EPOLL_CTL_ADD, 3, &event);
    sys(epoll_ctl, -1, EPOLL_CTL_ADD, 3, BAD);
    sys(epoll_ctl, 3, EPOLL_CTL_ADD, ends[1], NULL);
    sys(epoll_wait, 3, got, 8, 1);
    sys(epoll_wait, 3, got, 0, 0);
    sys(epoll_wait, 3, got, -1, 0);
    sys(epoll_wait, -1, got, 8, 0);
    sys(epoll_pwait, 3, got, 8, 0, NULL, 8);
    sys(epoll_pwait, 3, got, 8, 0, &mask, 8);
    sys(epoll_pwait, 3, got, 8, 0, &mask, 4);
    sys(epoll_pwait2, 3, got, 8, &none, NULL, 8);
    sys(epoll_pwait2, 3, got, 8, &some, &mask, 8);
    sys(epoll_pwait2, 3, got, 8, &wrong, NULL, 8);
    sys(eventfd, 5);
    sys(eventfd2, 7, 0);
    sys(eventfd2, 0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);
    sys(eventfd2, 0, 0x10);
    sys(read, 7, &value, 8);
    sys(write, 7, &value, 8);
    sys(read, 9, &value, 8);
    sys(read, 7, &value, 4);
    value = -1;
    sys(write, 9, &value, 8);
    return 0;
}
